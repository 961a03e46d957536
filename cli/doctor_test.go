package cli

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
)

func TestSkew(t *testing.T) {
	t.Parallel()
	type answer struct {
		ahead time.Duration // of the upstream's clock
		took  time.Duration
	}
	tests := map[string]struct {
		answers []answer
		want    verdict
		text    string
	}{
		"no answer":                 {nil, fine, ""},
		"the same":                  {[]answer{{0, time.Second}}, fine, "agrees with that of one"},
		"a slow answer says little": {[]answer{{9 * time.Second, 20 * time.Second}}, fine, "agrees with that of one"},
		"the fastest counts":        {[]answer{{time.Hour, 20 * time.Second}, {0, time.Second}}, fine, "agrees with that of two"},
		"a little":                  {[]answer{{20 * time.Second, time.Second}}, note, "20s behind that of one"},
		"far behind":                {[]answer{{3 * time.Hour, time.Second}}, bad, "3h0m0s behind that of one"},
		"far ahead":                 {[]answer{{-9 * time.Hour, time.Second}}, bad, "9h0m0s ahead of that of one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := &examination{env: &env{out: &screen{Writer: &bytes.Buffer{}}}}
			x.clock.heard("nobody", http.Header{"Date": {"gestern"}}, time.Now(), 0)
			for i, a := range tt.answers {
				began := time.Now()
				said := began.Add(a.took/2 + a.ahead).UTC().Format(http.TimeFormat)
				x.clock.heard([]string{"one", "two"}[i], http.Header{"Date": {said}}, began, a.took)
			}
			x.time()
			got := x.all[0]
			if got.Verdict != tt.want || roundly(got.Text) != tt.text || (got.Fix != "") != (tt.want != fine) {
				t.Errorf("got %+v, want %s %q", got, tt.want, tt.text)
			}
		})
	}
}

// roundly forgives the second that the header cuts off.
func roundly(text string) string {
	return strings.NewReplacer("19s", "20s", "21s", "20s", "2h59m59s", "3h0m0s", "3h0m1s", "3h0m0s", "8h59m59s", "9h0m0s", "9h0m1s", "9h0m0s").Replace(text)
}

// TestFix looks whether everything that an upstream may say leads to one sentence on what to do.
func TestFix(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want string
	}{
		"key":         {&adapters.Error{Kind: adapters.Unauthorized, Reason: adapters.ReasonKey}, "KAKAO_REST_API_KEY"},
		"plan":        {&adapters.Error{Kind: adapters.NeedsHuman, Reason: adapters.ReasonPlan}, "Switch Kakao Map on"},
		"quota":       {&adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonQuota, After: time.Hour}, "Wait until 20"},
		"rate":        {&adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonRate}, "Something else uses the same key"},
		"path":        {&adapters.Error{Kind: adapters.NeedsHuman, Reason: adapters.ReasonPath}, "Correct the address in [kakao]"},
		"unreachable": {&adapters.Error{Kind: adapters.Temporary, Reason: adapters.ReasonUnreachable}, "whether this machine reaches it"},
		"theirs":      {&adapters.Error{Kind: adapters.Temporary}, "The trouble is theirs"},
		"refused":     {&adapters.Error{Kind: adapters.Permanent}, "at what the answer says"},
		"wrapped":     {fmt.Errorf("kakao: %w", &adapters.Error{Kind: adapters.Unauthorized}), "KAKAO_REST_API_KEY"},
		"other":       {errors.New("context deadline exceeded"), "try again"},
	}
	for name, tt := range tests {
		if got := fix("kakao", tt.err); !strings.Contains(got, tt.want) || !strings.HasSuffix(got, ".") {
			t.Errorf("%s: %q does not say %q", name, got, tt.want)
		}
	}
	for _, up := range []string{"instagram", "openai", "naver", "kakao", "velog", "mongo"} {
		c := credentialOf(up)
		for _, text := range []string{c.key, c.plan} {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q is no sentence", up, text)
			}
		}
	}
}
