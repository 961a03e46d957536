package cli_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/adapters/rest"
	"sumbi/cli"
	"sumbi/config"
)

// TestPlanTakesTheRateOfTheLimiter compares the rate of a plan with what the limiter does at the same configuration.
func TestPlanTakesTheRateOfTheLimiter(t *testing.T) {
	t.Parallel()
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
	const guard = 200 * time.Millisecond
	for _, perSecond := range []float64{0, 0.25, 0.9, 1, 1.9, 8, 8.5} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			t.Parallel()
			limit := func(name string) *rest.Limit {
				return rest.NewLimit(rest.LimitOptions{Name: name, PerSecond: perSecond, Guard: guard})
			}
			cl := rest.New(rest.Options{Upstream: "instagram", BaseURL: "http://127.0.0.1:1", Limits: []*rest.Limit{limit("instagram/1"), limit("instagram/2")}})
			want, pace := cl.Pace()

			c := config.Default()
			c.Instagram.PerSecond, c.Secrets.RapidAPI = perSecond, []adapters.Secret{"가", "나"}
			if got := cli.PlanInput(c, config.Pipeline{Name: "matzip"}).Rate; !near(got, want) {
				t.Errorf("rate %g, the limiter's is %g", got, want)
			}
			if got := 2 * cli.Allowed(perSecond, guard); !near(got, pace) {
				t.Errorf("with the guard %g, the limiter's is %g", got, pace)
			}
		})
	}
}
