package cli

import (
	"context"
	"math/rand/v2"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"sumbi/sim"
)

// drawn is a plan for n kills in a world of some size.
func drawn(seed uint64, n int) *plan {
	return newPlan(rand.New(rand.NewPCG(seed, 1)), n, map[string]int{"instagram": 90, "naver": 700, "openai": 50})
}

func TestPlanUsesEveryKillOnce(t *testing.T) {
	t.Parallel()
	for n := range 150 {
		p := drawn(uint64(n), n)
		if got := p.left(); got != n {
			t.Fatalf("a plan of %d kills has %d", n, got)
		}
		// A world that calls everybody once in a millisecond, and processes that do so, too.
		calls, used := map[string]int{}, 0
		for range 10_000 {
			before := map[string]int{"instagram": calls["instagram"]}
			calls["instagram"]++
			calls["naver"]++
			calls["openai"]++
			if _, now := p.due(calls, before, time.Second); now {
				used++
			}
		}
		if used != n || p.left() != 0 {
			t.Fatalf("%d of %d kills were used, %d are left", used, n, p.left())
		}
	}
}

func TestSameSeedSamePlan(t *testing.T) {
	t.Parallel()
	if !reflect.DeepEqual(drawn(7, 100).at, drawn(7, 100).at) {
		t.Error("the same seed gives two plans")
	}
	if reflect.DeepEqual(drawn(7, 100).at, drawn(8, 100).at) {
		t.Error("two seeds give the same plan")
	}
}

// A process is killed within milliseconds of its start, or after its own first call, if the plan says so.
func TestPlanOfTheNextProcess(t *testing.T) {
	t.Parallel()
	p := &plan{next: []kill{{soon: true, delay: 30 * time.Millisecond}, {upstream: "instagram", delay: time.Millisecond}}}
	none, one := map[string]int{}, map[string]int{"instagram": 1}
	for _, step := range []struct {
		calls map[string]int
		age   time.Duration
		delay time.Duration
		now   bool
	}{
		{one, 10 * time.Millisecond, 0, false},
		{none, 30 * time.Millisecond, 0, true},
		{none, time.Hour, 0, false},
		{one, 0, time.Millisecond, true},
		{one, time.Hour, 0, false},
	} {
		if d, now := p.due(step.calls, none, step.age); d != step.delay || now != step.now {
			t.Errorf("%v after %s: %s, %v; want %s, %v", step.calls, step.age, d, now, step.delay, step.now)
		}
	}
}

func TestDiffering(t *testing.T) {
	t.Parallel()
	a := map[string]string{"냉면": "1", "곰탕": "2", "육회": "3"}
	b := map[string]string{"냉면": "1", "곰탕": "4", "갈비": "5"}
	if got := differing(a, b); !reflect.DeepEqual(got, []string{"갈비", "곰탕", "육회"}) {
		t.Errorf("%v", got)
	}
}

// TestHangIsFound starts a process that does nothing and does not end.
func TestHangIsFound(t *testing.T) {
	t.Parallel()
	exe, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	s := &stage{exe: exe, dir: t.TempDir(), world: sim.New(sim.Options{Accounts: 1, Posts: 1})}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tt := &torture{env: &env{ctx: ctx, out: &screen{}}, most: 50 * time.Millisecond}
	if _, err := tt.once(s, &plan{}, "60"); err == nil || !strings.Contains(err.Error(), "called nobody") {
		t.Errorf("got %v", err)
	}
}
