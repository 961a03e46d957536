package rest_test

import (
	"context"
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
		want := map[string]float64{
			"sumbi_limit_held": 0, "sumbi_limit_stopped": 0, "sumbi_limit_guard_seconds": 1, "sumbi_limit_rate": 14, "sumbi_limit_pace": 8,
			"sumbi_limit_day_calls": 0, "sumbi_limit_day_quota_calls": 0,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

func TestPermitMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		c := rest.New(rest.Options{
			Upstream: "naver", BaseURL: "http://upstream.test", Metrics: rest.NewMetrics(reg),
			Limits: []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "naver/hub", PerSecond: 1, PerDay: 25000})},
		})
		_, back, err := c.Permit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		back()
		back() // a second time is none
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := c.Permit(gone); err == nil {
			t.Error("a permit for what has ended")
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				switch f.GetName() {
				case "sumbi_permits_total":
					got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
				case "sumbi_limit_day_quota_calls":
					got["quota"] = m.GetGauge().GetValue()
				}
			}
		}
		if d := cmp.Diff(map[string]float64{"granted": 1, "returned": 1, "refused": 1, "quota": 25000}, got); d != "" {
			t.Error(d)
		}
	})
}
