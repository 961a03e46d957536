package openai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
	"sumbi/adapters/openai"
	"sumbi/adapters/rest"
)

func offline(t *testing.T) *openai.Batcher {
	return newBatcher(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("called %s", r.URL) })
}

func quote(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestLine(t *testing.T) {
	t.Parallel()
	const caption = "📍을지로 <골목> & \"노포\"\n\n김치찌개 9,000원 #맛집"
	line, err := offline(t).Line(adapters.Line{ID: "3533250442263839403/v1", Body: quote(caption)})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(line), "\n") != 1 || !strings.HasSuffix(string(line), "}\n") {
		t.Errorf("not one line: %q", line)
	}
	if !strings.Contains(string(line), "김치찌개") || strings.Contains(string(line), `\u003c`) {
		t.Errorf("more escapes than needed: %s", line)
	}
	var got, schema map[string]any
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(placeSchema), &schema); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"custom_id": "3533250442263839403/v1", "method": "POST", "url": "/v1/chat/completions",
		"body": map[string]any{
			"model": "gpt-5-mini",
			"messages": []any{
				map[string]any{"role": "system", "content": "캡션에서 식당을 찾아라."},
				map[string]any{"role": "user", "content": caption},
			},
			"response_format": map[string]any{"type": "json_schema", "json_schema": map[string]any{
				"name": "places", "strict": true, "schema": schema,
			}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLineRefused(t *testing.T) {
	t.Parallel()
	b := offline(t)
	ok := quote("국밥")
	tests := []struct {
		name string
		line adapters.Line
		good bool
	}{
		{"no id", adapters.Line{Body: ok}, false},
		{"longest id", adapters.Line{ID: strings.Repeat("가", 170) + "aa", Body: ok}, true},
		{"id too long", adapters.Line{ID: strings.Repeat("가", 171), Body: ok}, false},
		{"id no UTF-8", adapters.Line{ID: "a\xff", Body: ok}, false},
		{"no body", adapters.Line{ID: "1"}, false},
		{"null", adapters.Line{ID: "1", Body: json.RawMessage(`null`)}, false},
		{"object", adapters.Line{ID: "1", Body: json.RawMessage(`{"role":"user"}`)}, false},
		{"two strings", adapters.Line{ID: "1", Body: json.RawMessage(`"a" "b"`)}, false},
		{"text no UTF-8", adapters.Line{ID: "1", Body: json.RawMessage("\"\xed\xa0\x80\"")}, false},
		{"half a surrogate pair", adapters.Line{ID: "1", Body: json.RawMessage(`"맛집 \ud83d"`)}, true},
		{"empty caption", adapters.Line{ID: "1", Body: quote("")}, true},
		{"huge", adapters.Line{ID: "1", Body: quote(strings.Repeat("맛", 1<<19))}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			line, err := b.Line(tt.line)
			if tt.good != (err == nil) {
				t.Fatalf("err = %v", err)
			}
			if strings.Contains(string(line), `\ud83d`) {
				t.Errorf("the half pair went up: %s", line)
			}
			if e, ok := errors.AsType[*adapters.Error](err); err != nil && (!ok || e.Kind != adapters.Permanent) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// Without system message and schema only the question is left.
func TestLineBare(t *testing.T) {
	t.Parallel()
	b := openai.New(openai.Options{Client: rest.New(openai.ClientOptions("http://127.0.0.1")), Model: "m"})
	line, err := b.Line(adapters.Line{ID: "1", Body: quote("칼국수")})
	want := `{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"칼국수"}]}}` + "\n"
	if err != nil || string(line) != want {
		t.Errorf("got %s, %v", line, err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	b := offline(t)
	tests := []struct {
		name, text string
		atLeast    int64
	}{
		{"nothing", "", 0},
		{"Hangul: one a syllable", strings.Repeat("맛", 300), 300},
		{"English: a third of the letters", strings.Repeat("noodles ", 90), 180},
		{"emoji: three each", strings.Repeat("🍜", 100), 300},
		{"decomposed Hangul: three a jamo", strings.Repeat("\u1106\u1161", 50), 300},
		{"symbols: two each", strings.Repeat("☞", 50), 100},
	}
	empty, err := b.Line(adapters.Line{ID: "1", Body: quote("")})
	if err != nil {
		t.Fatal(err)
	}
	base := b.Tokens(empty)
	if base < 150 || base > 600 { // the prompt and the schema count on every line
		t.Errorf("an empty line is %d tokens", base)
	}
	for _, tt := range tests {
		line, err := b.Line(adapters.Line{ID: "1", Body: quote(tt.text)})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Tokens(line) - base; got < tt.atLeast || got > tt.atLeast+tt.atLeast/2+5 {
			t.Errorf("%s: %d tokens, want about %d", tt.name, got, tt.atLeast)
		}
	}
}

func ExampleBatcher_Line() {
	b := openai.New(openai.Options{Client: rest.New(openai.ClientOptions("http://127.0.0.1")), Model: "gpt-5-mini"})
	line, _ := b.Line(adapters.Line{ID: "1", Body: json.RawMessage(`"을지로 냉면"`)})
	fmt.Print(string(line))
	// Output:
	// {"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-5-mini","messages":[{"role":"user","content":"을지로 냉면"}]}}
}

func BenchmarkTokens(b *testing.B) {
	batcher := batcherAt("http://127.0.0.1")
	line, err := batcher.Line(adapters.Line{ID: "1", Body: quote(strings.Repeat("을지로 골목의 노포, 김치찌개 9,000원 🍲 ", 60))})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		batcher.Tokens(line)
	}
}
