package cli

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	type inner struct{ ID int }
	type Flat struct{ MicroUSD int64 }
	data := struct {
		Flat
		URL       string
		HeldUntil time.Time
		Never     time.Time
		Guard     time.Duration
		List      []inner
		None      []inner
		Missing   *inner
		Ratio     float64
		Raw       json.RawMessage
		Broken    json.RawMessage
		Prices    map[string]int64
		Named     string `json:"roadAddress,omitempty"`
		Left      int    `json:"-"`
		hidden    int
	}{
		Flat: Flat{7}, URL: "https://예시.한국/?a=1&b=<2>", HeldUntil: time.Date(2026, 11, 29, 9, 0, 0, 5e6, korea), Guard: 1500 * time.Millisecond,
		List: []inner{{1}}, Ratio: math.NaN(), Raw: json.RawMessage(`{"a":1}`), Broken: json.RawMessage(`{`), hidden: 1,
	}
	got, err := documentOf("status", time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), data)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "verb": "status",
  "at": "2026-11-29T00:00:00.000Z",
  "data": {
    "microUSD": 7,
    "url": "https://예시.한국/?a=1&b=<2>",
    "heldUntil": "2026-11-29T00:00:00.005Z",
    "never": null,
    "guard": 1.5,
    "list": [
      {
        "id": 1
      }
    ],
    "none": [],
    "missing": null,
    "ratio": null,
    "raw": {
      "a": 1
    },
    "broken": null,
    "prices": {},
    "roadAddress": ""
  }
}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"ID": "id", "MicroUSD": "microUSD", "URLPath": "urlPath", "HeldUntil": "heldUntil", "F1": "f1", "N": "n", "OS": "os", "ReviewShare": "reviewShare"} {
		if got := beginningSmall(name); got != want {
			t.Errorf("%s is called %s, want %s", name, got, want)
		}
	}
}

func TestPlainProgressBecomesRare(t *testing.T) {
	t.Parallel()
	lines := 0
	for since := time.Duration(0); since < 24*time.Hour; since += pause(since) {
		lines++
	}
	if lines < 1000 || lines > 1600 {
		t.Errorf("%d lines a day", lines)
	}
}
