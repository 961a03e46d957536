package match_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"sumbi/adapters"
	"sumbi/jobs/match"
)

const (
	rightCase = `{"case_id":"x1","kind":"address","fields":{"name":"노을분식","branch":"","address":"부산 수영구 광남로22번길 7","area":"","menu":["라면"],"phone":"","ig_location":null},` +
		`"candidates":[{"title":"<b>노을</b>분식 &amp; 떡","link":"","category":"음식점>분식","description":"","telephone":"","address":"","roadAddress":"서울특별시 중구 을지로 1","mapx":"1269800000","mapy":"375600000"},` +
		`{"title":"<b>노을분식</b>","link":"","category":"음식점>분식","description":"","telephone":"","address":"","roadAddress":"부산광역시 수영구 광남로22번길 7","mapx":"310404","mapy":"551834"}],"candidate_ids":["a","b"],"answer":"b"}`
	noneCase = `{"caption_id":"y1","text":"…","fields":{"name":"하늘국수","branch":"","address":"","area":"대구","menu":[],"phone":"","ig_location":{"name":"대구","lat":35.87,"lng":128.6}},"candidates":[],"candidate_ids":[],"answer":null}`
)

// evaluate decides the cases of a file and writes the predictions.
func evaluate(file io.Reader, predictions io.Writer) (match.Report, error) {
	var cases []match.Case
	if err := match.ReadCases(file, func(c match.Case) error { cases = append(cases, c); return nil }); err != nil {
		return match.Report{}, err
	}
	return match.Evaluate(cases, func(c match.Case, d match.Decision) error { return match.WritePrediction(predictions, c, d) })
}

func TestEval(t *testing.T) {
	t.Parallel()
	var predictions bytes.Buffer
	r, err := evaluate(strings.NewReader(rightCase+"\n\n"+noneCase+"\n"), &predictions)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"case_id":"x1","index":1}` + "\n" + `{"caption_id":"y1","index":-1}` + "\n"
	if got := predictions.String(); got != want {
		t.Errorf("predictions\n%s, want\n%s", got, want)
	}
	if n := r.Two; n.Cases != 2 || n.Right != 1 || n.RightNone != 1 || n.Accuracy() != 1 || n.Precision() != 1 || n.Recall() != 1 || len(r.Kinds) != 2 {
		t.Errorf("%+v", r)
	}
	if s := r.String(); !strings.Contains(s, "accuracy      1.000 [0.342, 1.000]") || !strings.Contains(s, "caption") {
		t.Errorf("report %q", s)
	}
}

func TestEvalNamesTheBadLine(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"no JSON":            `{"case_id":`,
		"no id":              `{"fields":{"name":"가"}}`,
		"no fields":          `{"case_id":"x"}`,
		"ids do not fit":     `{"case_id":"x","fields":{"name":"가"},"candidate_ids":["a"]}`,
		"answer not offered": `{"case_id":"x","fields":{"name":"가"},"answer":"z"}`,
	} {
		_, err := evaluate(strings.NewReader(rightCase+"\n"+line+"\n"), io.Discard)
		if err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLabelledCases judges the embedded weights by the labelled cases, which are no part of this repository.
func TestLabelledCases(t *testing.T) {
	t.Parallel()
	// What a similarity of letters with a rule for the region reaches: precision, recall, F1, accuracy.
	rule := map[string][4]float64{
		"dev.jsonl":          {.805, .803, .804, .745},
		"captions-dev.jsonl": {.836, .953, .891, .865},
	}
	for file, want := range rule {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(filepath.Join("..", "..", "..", "shared", "matching", file))
			if err != nil {
				t.Skipf("NOT JUDGED: the labelled cases are not on this machine: %v", err)
			}
			defer f.Close()
			r, err := evaluate(f, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(r)
			n := r.Two
			if n.Precision() <= want[0] || n.Recall() <= want[1] || n.F1() <= want[2] || n.Accuracy() <= want[3] {
				t.Errorf("no better than the rule %v", want)
			}
			if n.Accuracy() < .975 || n.Precision() < .98 {
				t.Errorf("precision %.3f, accuracy %.3f, want at least .98 and .975", n.Precision(), n.Accuracy())
			}
			if n := r.Three; n.Precision() < .99 || n.Share() > .12 || n.Recall() < .9 {
				t.Errorf("with review: precision %.3f, unaided %.3f, to review %.3f", n.Precision(), n.Recall(), n.Share())
			}
		})
	}
}

func FuzzEval(f *testing.F) {
	f.Add([]byte(rightCase))
	f.Add([]byte(noneCase))
	f.Add([]byte(`{"case_id":"x","fields":{"name":"가(","branch":"점","address":"로 길 산 1","area":"(#역"},"candidates":[{"title":"<b","mapx":"-","address":"동","roadAddress":"1로-"}],"candidate_ids":["a"],"answer":"a"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := evaluate(bytes.NewReader(data), io.Discard)
		if n := r.Three; err == nil && n.Right+n.Wrong+n.Missed+n.RightNone+n.Review != n.Cases {
			t.Errorf("%+v does not add up", r)
		}
	})
}

func FuzzDecide(f *testing.F) {
	f.Add("달빛국수", "연남점", "서울 마포구 동교로 260", "연남", "<b>달빛</b>국수", "서울 마포구 연남동 241-8", "서울 마포구 동교로 260")
	f.Add("#", "점", "-1", "역", "()", "산", "로")
	f.Add("카페 THE 88", "본점", "광주시", "제주", "카페 더 팔팔 2호점", "제주 제주시 이도이동 산1", "1100로 지하 3")
	f.Fuzz(func(t *testing.T, name, branch, address, area, title, lot, road string) {
		m := match.Mention{Name: name, Branch: branch, Address: address, Area: area, Location: &match.Location{Name: title, Lat: 33.5, Lng: 126.5}}
		c := shop(title, lot, road)
		d := match.Decide(m, []adapters.Candidate{c, at(c, 33.5, 126.5)})
		if !(d.Score >= 0 && d.Score <= 1) || (d.State == match.None) != (d.Index < 0) {
			t.Errorf("%+v", d)
		}
		if d.Compared > 64*64 {
			t.Errorf("%d pairs of names were compared", d.Compared)
		}
		for _, s := range d.Scored {
			if !utf8.ValidString(s.Why) && utf8.ValidString(name+branch+title) {
				t.Errorf("why %q", s.Why)
			}
		}
		match.Sure(m, []adapters.Candidate{c})
		for _, q := range match.Queries(m) {
			if strings.TrimSpace(q) == "" {
				t.Error("an empty query")
			}
		}
		if key := match.PlaceKey(c); len(key) != 17 {
			t.Errorf("key %q", key)
		}
	})
}
