package jobs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/jobs"
)

// TestExtraction compares answers with one label of 누룽담 성수점 and its two dishes.
func TestExtraction(t *testing.T) {
	t.Parallel()
	const label = `{"caption_id":"1","text":"누룽담","hashtags":["성수맛집"],"fields":{"name":"누룽담","branch":"성수점","address":"","area":"성수","menu":["국수","만두"]}}`
	type counts struct{ Restaurants, Name, Branch, Area, Menu jobs.Count }
	for name, c := range map[string]struct {
		answer string // the restaurants; "" is no answer at all
		want   counts
		misses []string
	}{
		"right": {
			`{"name":"누룽담","branch":"성수점","area":"성수","menu":[{"name":"국수","price":9000},{"name":"만두","price":null}]}`,
			counts{jobs.Count{Right: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 2}},
			nil,
		},
		"folded": {
			`{"name":"누룽 담!","branch":"성수 점","area":"#성수","menu":[{"name":"만두","price":1},{"name":"국 수","price":1},{"name":"국수","price":1}]}`,
			counts{jobs.Count{Right: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 2}},
			nil,
		},
		"branch in the name": {
			`{"name":"누룽담 성수점","branch":null,"area":null,"menu":[{"name":"국수","price":1},{"name":"냉면","price":1}]}`,
			counts{jobs.Count{Right: 1}, jobs.Count{Wrong: 1, Missed: 1}, jobs.Count{Missed: 1}, jobs.Count{Missed: 1}, jobs.Count{Right: 1, Wrong: 1, Missed: 1}},
			[]string{
				`name of 누룽담 성수점: right is "누룽담", answered "누룽담 성수점"`, `branch of 누룽담 성수점: right is "성수점", answered ""`,
				`area of 누룽담 성수점: right is "성수", answered ""`, `menu item of 누룽담 성수점: right is "국수, 만두", answered "국수, 냉면"`,
			},
		},
		"invented": {
			`{"name":"누룽담","branch":"성수점","area":"성수","menu":[{"name":"국수","price":1},{"name":"만두","price":1}]},{"name":"새벽곳간","menu":[]},{"name":" ","menu":[]}`,
			counts{jobs.Count{Right: 1, Wrong: 1}, jobs.Count{Right: 1, Wrong: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 1}, jobs.Count{Right: 2}},
			[]string{"invented 새벽곳간"},
		},
		"missed": {"", counts{jobs.Count{Missed: 1}, jobs.Count{Missed: 1}, jobs.Count{Missed: 1}, jobs.Count{Missed: 1}, jobs.Count{Missed: 2}}, []string{"missed 누룽담 성수점"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ls, err := jobs.ReadLabelled(strings.NewReader(label))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(ls[0].Question().Body); got != `"누룽담\n\n#성수맛집"` {
				t.Errorf("the model is asked %s", got)
			}
			var answer json.RawMessage
			if c.answer != "" {
				answer = json.RawMessage(`{"restaurants":[` + c.answer + `]}`)
			}
			var x jobs.Extraction
			misses, err := x.Add(ls[0], answer)
			if err != nil {
				t.Fatal(err)
			}
			got := counts{Restaurants: x.Restaurants}
			for _, f := range x.Fields {
				switch f.Name {
				case "name":
					got.Name = f.Count
				case "branch":
					got.Branch = f.Count
				case "area":
					got.Area = f.Count
				case "menu item":
					got.Menu = f.Count
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
			if diff := cmp.Diff(c.misses, misses); diff != "" {
				t.Errorf("want -, got +\n%s", diff)
			}
		})
	}
}

// TestExtractionPairs lets two branches of one name find their own answers, in whatever order they come.
func TestExtractionPairs(t *testing.T) {
	t.Parallel()
	ls, err := jobs.ReadLabelled(strings.NewReader(`{"caption_id":"1","text":"누룽담 두 곳","fields":{"name":"누룽담","branch":"성수점"}}
{"caption_id":"1","text":"누룽담 두 곳","fields":{"name":"누룽담","branch":"합정점"}}`))
	if err != nil || len(ls) != 1 {
		t.Fatal(err, len(ls))
	}
	var x jobs.Extraction
	misses, err := x.Add(ls[0], json.RawMessage(`{"restaurants":[{"name":"누룽담","branch":"합정점","menu":[]},{"name":"누룽담","branch":"성수점","menu":[]}]}`))
	if err != nil || len(misses) > 0 || x.Restaurants != (jobs.Count{Right: 2}) {
		t.Errorf("%v %+v %q", err, x.Restaurants, misses)
	}
}
