package rest_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"sumbi/adapters/rest"
)

func TestLimitMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		rest.New(rest.Options{
			Upstream: "instagram", BaseURL: "http://upstream.test", Metrics: rest.NewMetrics(reg),
			Limits: []*rest.Limit{
				rest.NewLimit(rest.LimitOptions{Name: "instagram/1", PerSecond: 8, Guard: 1000 * ms}),
				rest.NewLimit(rest.LimitOptions{Name: "instagram/2", PerSecond: 6, Guard: 500 * ms}),
			},
		})
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		want := map[string]float64{"sumbi_limit_held": 0, "sumbi_limit_guard_seconds": 1, "sumbi_limit_pace": 8}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}
