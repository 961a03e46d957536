package openai_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/adapters/openai"
	"sumbi/adapters/rest"
)

// output builds a line of an output file around a choice, as JSON.
func output(status int, choice string) string {
	return fmt.Sprintf(`{"id":"batch_req_1","custom_id":"글-1","response":{"status_code":%d,"request_id":"00fc","body":{`+
		`"object":"chat.completion","choices":[%s],"usage":{"prompt_tokens":485,"completion_tokens":43}}},"error":null}`, status, choice)
}

// said is a finished choice with that content.
func said(content string) string {
	return fmt.Sprintf(`{"index":0,"message":{"role":"assistant","content":%s,"refusal":null},"finish_reason":"stop"}`, quote(content))
}

func failedLine(status int, body string) string {
	return fmt.Sprintf(`{"custom_id":"글-1","response":{"status_code":%d,"body":%s},"error":null}`, status, body)
}

const goodContent = `{"restaurants": [{"name": "을지면옥", "kind": "식당", "area": null, "menu": [{"name": "냉면 & 수육", "price": 15000}]}]}`

func TestAnswer(t *testing.T) {
	t.Parallel()
	place := func(fields string) string { return said(`{"restaurants":[{` + fields + `}]}`) }
	type want struct {
		kind    adapters.Kind
		reason  string
		message string // part of it
		free    bool   // reports no tokens
	}
	tests := []struct {
		name string
		line string
		body string // when it is good
		want want
	}{
		{"good", output(200, said(goodContent)), strings.NewReplacer(": ", ":", ", ", ",").Replace(goodContent), want{}},
		{"no restaurant", output(200, said(`{"restaurants":[]}`)), `{"restaurants":[]}`, want{}},
		{"price as 15000.0", output(200, place(`"name":"가","kind":"카페","area":"성수","menu":[{"name":"빵","price":15000.0}]`)), `{"restaurants":[{"name":"가","kind":"카페","area":"성수","menu":[{"name":"빵","price":15000.0}]}]}`, want{}},
		{"refusal", output(200, `{"message":{"content":null,"refusal":"죄송합니다."},"finish_reason":"stop"}`), "", want{adapters.Permanent, adapters.ReasonRefusal, "죄송합니다", false}},
		{"content filter", output(200, `{"message":{"content":"{"},"finish_reason":"content_filter"}`), "", want{adapters.Permanent, adapters.ReasonRefusal, "filter", false}},
		{"cut", output(200, `{"message":{"content":"{\"restaur"},"finish_reason":"length"}`), "", want{adapters.Temporary, adapters.ReasonCut, "cut", false}},
		{"no content", output(200, `{"message":{"content":null},"finish_reason":"stop"}`), "", want{adapters.Temporary, adapters.ReasonInvalid, "without content", false}},
		{"no choice", output(200, ``), "", want{adapters.Temporary, adapters.ReasonInvalid, "without a choice", false}},
		{"prose", output(200, said("맛집이 없습니다.")), "", want{adapters.Temporary, adapters.ReasonInvalid, "no JSON", false}},
		{"two values", output(200, said(`{"restaurants":[]} {}`)), "", want{adapters.Temporary, adapters.ReasonInvalid, "no JSON", false}},
		{"array", output(200, said(`[]`)), "", want{adapters.Temporary, adapters.ReasonInvalid, "answer is array", false}},
		{"null", output(200, said(`null`)), "", want{adapters.Temporary, adapters.ReasonInvalid, "answer is null", false}},
		{"key missing", output(200, said(`{}`)), "", want{adapters.Temporary, adapters.ReasonInvalid, `no "restaurants"`, false}},
		{"key too many", output(200, said(`{"restaurants":[],"덤":1}`)), "", want{adapters.Temporary, adapters.ReasonInvalid, `unknown "덤"`, false}},
		{"wrong type deep inside", output(200, place(`"name":"가","kind":"카페","area":null,"menu":[{"name":"빵","price":"만원"}]`)), "", want{adapters.Temporary, adapters.ReasonInvalid, "restaurants[0].menu[0].price is string", false}},
		{"half a won", output(200, place(`"name":"가","kind":"카페","area":null,"menu":[{"name":"빵","price":0.5}]`)), "", want{adapters.Temporary, adapters.ReasonInvalid, "price is number", false}},
		{"not in the enum", output(200, place(`"name":"가","kind":"술집","area":null,"menu":[]`)), "", want{adapters.Temporary, adapters.ReasonInvalid, "kind is none", false}},
		{"none of the shapes", output(200, place(`"name":"가","kind":"카페","area":3,"menu":[]`)), "", want{adapters.Temporary, adapters.ReasonInvalid, "area has none", false}},
		{"status 200 without body", `{"custom_id":"글-1","response":{"status_code":200}}`, "", want{adapters.Temporary, adapters.ReasonInvalid, "completion", true}},
		{"400", failedLine(400, `{"error":{"message":"Invalid schema","code":"invalid_json_schema"}}`), "", want{adapters.Permanent, "", "Invalid schema", true}},
		{"429", failedLine(429, `{"error":{"message":"slow down"}}`), "", want{adapters.Temporary, "", "slow down", true}},
		{"500", failedLine(500, `{}`), "", want{adapters.Temporary, "", "500", true}},
		{"status 0", failedLine(0, `null`), "", want{adapters.Temporary, "", "no status", true}},
		{"refused but billed", output(400, ``), "", want{adapters.Permanent, "", "400", false}},
		{"neither response nor error", `{"custom_id":"글-1","response":null,"error":null}`, "", want{adapters.Temporary, "", "no status", true}},
		{"only an id", `{"custom_id":"글-1"}`, "", want{adapters.Temporary, "", "no status", true}},
		{"response of another type", `{"custom_id":"글-1","response":"끝"}`, "", want{adapters.Temporary, "", "no status", true}},
		{"expired", `{"custom_id":"글-1","response":null,"error":{"code":"batch_expired","message":"too late"}}`, "", want{adapters.Temporary, adapters.ReasonNotRun, "too late", true}},
		{"cancelled", `{"custom_id":"글-1","response":null,"error":{"code":"batch_cancelled","message":""}}`, "", want{adapters.Temporary, adapters.ReasonNotRun, "batch_cancelled", true}},
		{"another error", `{"custom_id":"글-1","response":null,"error":{"code":"server_error","message":"oops"}}`, "", want{adapters.Temporary, "", "oops", true}},
	}
	b := offline(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := b.Answer([]byte(tt.line))
			if err != nil || a.ID != "글-1" {
				t.Fatalf("id %q, %v", a.ID, err)
			}
			if free := a.InputTokens == 0 && a.OutputTokens == 0; free != tt.want.free || (!free && (a.InputTokens != 485 || a.OutputTokens != 43)) {
				t.Errorf("tokens %d, %d", a.InputTokens, a.OutputTokens)
			}
			if tt.body != "" {
				if a.Err != nil || string(a.Body) != tt.body {
					t.Errorf("got %s (%v), want %s", a.Body, a.Err, tt.body)
				}
				return
			}
			if e := a.Err; e == nil || e.Kind != tt.want.kind || e.Reason != tt.want.reason || !strings.Contains(e.Error(), tt.want.message) || a.Body != nil {
				t.Errorf("got %s, %v; want %v %q %q", a.Body, e, tt.want.kind, tt.want.reason, tt.want.message)
			}
		})
	}
}

func TestAnswerIsNoAnswer(t *testing.T) {
	t.Parallel()
	b := offline(t)
	good := output(200, said(goodContent))
	for _, line := range []string{"", "\n", "null", "[]", `"글"`, "{}", `{"custom_id":""}`, `{"custom_id":7}`, good[:len(good)/2], good + good} {
		if a, err := b.Answer([]byte(line)); err == nil {
			t.Errorf("%.60q: got %+v", line, a)
		}
	}
}

// The recorded lines, with a batcher that knows no schema: any JSON is an answer.
func TestAnswerRecorded(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	b := openai.New(openai.Options{Client: rest.New(openai.ClientOptions("http://127.0.0.1")), Model: "m"})
	var got []string
	for scan := bufio.NewScanner(bytes.NewReader(data)); scan.Scan(); {
		a, err := b.Answer(scan.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		reason := "ok"
		if a.Err != nil {
			reason = a.Err.Reason
		}
		got = append(got, fmt.Sprintf("%s %s %d %d", a.ID, reason, a.InputTokens, a.OutputTokens))
	}
	want := []string{
		"request-10178-5b484dc2-b1ed-58b0-98ff-f93b59596b38 ok 485 43",
		"0 invalid 10 72", // prose
		"request-3 not_run 0 0",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
