package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// gate is a limit that a test opens by hand.
type gate struct {
	mu     sync.Mutex
	permit chan error
	given  int
	back   int
}

type permitKey struct{}

func (g *gate) Permit(ctx context.Context) (context.Context, func(), error) {
	select {
	case err := <-g.permit:
		if err != nil {
			return ctx, nil, err
		}
	case <-ctx.Done():
		return ctx, nil, ctx.Err()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.given++
	used := new(atomic.Bool)
	return context.WithValue(ctx, permitKey{}, used), func() {
		if !used.Load() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.back++
		}
	}, nil
}

func (g *gate) counts() (given, back int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.given, g.back
}

// TestPermitComesFirst checks that the job is chosen when the permit is there, not before.
func TestPermitComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		g := &gate{permit: make(chan error)}
		var got []string
		h := func(ctx context.Context, j queue.Job) (queue.Commit, error) {
			ctx.Value(permitKey{}).(*atomic.Bool).Store(true)
			got = append(got, j.Key)
			return nil, nil
		}
		slow := pageJob("짧은 목록")
		add(t, s, slow)
		work(t, s, h, queue.Lane{Name: "인스타", Workers: 1, Gate: g})
		settle(time.Minute)
		rows(t, s, `select count(*) from job where taken_at is not null`, "0")
		long := pageJob("긴 목록")
		long.Priority = 300
		add(t, s, long)
		g.permit <- nil
		g.permit <- nil
		settle(time.Second)
		same(t, "order", got, []string{"긴 목록", "짧은 목록"})
		if given, back := g.counts(); given != 2 || back != 0 {
			t.Errorf("%d permits given, %d came back", given, back)
		}
	})
}

// TestPermitIsGivenBack checks the ways in which a permit is not used.
func TestPermitIsGivenBack(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		g := &gate{permit: make(chan error)}
		h := func(context.Context, queue.Job) (queue.Commit, error) { return nil, nil }
		add(t, s, pageJob("사라질 일"))
		_, stop := work(t, s, h, queue.Lane{Name: "인스타", Workers: 3, Gate: g})
		settle(time.Minute)
		within(t, s, func(tx *queue.Tx) error { return tx.Drop(1) })
		g.permit <- nil
		settle(time.Second)
		if given, back := g.counts(); given != 1 || back != 1 {
			t.Errorf("no job: %d permits given, %d came back", given, back)
		}
		add(t, s, pageJob("부르지 않는 일"))
		g.permit <- nil
		settle(time.Second)
		if given, back := g.counts(); given != 2 || back != 2 {
			t.Errorf("a step without a call: %d permits given, %d came back", given, back)
		}
		add(t, s, pageJob("남는 일"))
		settle(time.Second)
		stop() // while the lane waits for a permit
		rows(t, s, `select key, run from job`, "남는 일|0")
	})
}

func TestGateStopsTheLane(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		g := &gate{permit: make(chan error)}
		h := func(context.Context, queue.Job) (queue.Commit, error) { return note("됐다", "예"), nil }
		add(t, s, pageJob("ig:을지로골목:posts"))
		w, _ := work(t, s, h, queue.Lane{Name: "인스타", Gate: g})
		g.permit <- kind(adapters.Throttled, time.Second)
		settle(3 * time.Second)
		if why := w.Stopped("인스타"); why != "" {
			t.Errorf("stopped for a while only: %s", why)
		}
		g.permit <- kind(adapters.NeedsHuman, 0)
		settle(time.Second)
		if w.Stopped("인스타") == "" {
			t.Error("the lane goes on without a credential")
		}
		rows(t, s, `select lane, reason from lane_stop`, "인스타|인스타: 국물이 식었다")
		rows(t, s, `select run, attempt from job`, "0|0")
	})
}

// TestGateMeetsAFullDisk ends the work when a limit cannot be kept: the lane may have nothing else to write that would show it.
func TestGateMeetsAFullDisk(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		add(t, s, pageJob("ig:을지로"))
		full := &queue.FileError{Path: "숨비.db", Text: "the disk is full", Err: syscall.ENOSPC}
		g := &gate{permit: make(chan error, 1)}
		g.permit <- &adapters.Error{Kind: adapters.Temporary, Upstream: "인스타", Err: fmt.Errorf("save limit: %w", full)}
		w := &queue.Worker{
			Store: s, Lanes: []queue.Lane{{Name: "인스타", Workers: 1, Deadline: time.Minute, Gate: g}}, Log: slog.New(slog.DiscardHandler), Grace: time.Second,
			Handlers: map[queue.Kind]queue.Handler{queue.KindPage: func(context.Context, queue.Job) (queue.Commit, error) { return nil, nil }},
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Run(ctx); !errors.Is(err, full) {
			t.Errorf("got %v, want %v", err, full)
		}
	})
}

// TestGateKnowsItsOwn checks that a refused credential does not stop a lane whose gate may have another one.
func TestGateKnowsItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		g := &gate{permit: make(chan error, 10)}
		for range 10 {
			g.permit <- nil
		}
		var calls atomic.Int32
		h := func(context.Context, queue.Job) (queue.Commit, error) {
			if calls.Add(1) == 1 {
				return nil, kind(adapters.NeedsHuman, 0)
			}
			return note("됐다", "예"), nil
		}
		add(t, s, pageJob("ig:을지로골목:posts"))
		w, _ := work(t, s, h, queue.Lane{Name: "인스타", Gate: g, Attempts: 1})
		settle(5 * time.Second)
		if why := w.Stopped("인스타"); why != "" {
			t.Errorf("stopped: %s", why)
		}
		meta(t, s, "됐다", "예")
	})
}

// TestGateLetsThroughForEver refuses every step, which the gate knows nothing of: the lane stops, and the upstream has its peace.
func TestGateLetsThroughForEver(t *testing.T) {
	bubble(t, func(t *testing.T, s *queue.Store) {
		for _, refused := range []adapters.Kind{adapters.Unauthorized, adapters.NeedsHuman} {
			g := &gate{permit: make(chan error, 100)}
			for range 100 {
				g.permit <- nil
			}
			var calls atomic.Int32
			h := func(context.Context, queue.Job) (queue.Commit, error) {
				calls.Add(1)
				return nil, kind(refused, 0)
			}
			add(t, s, pageJob("ig:을지로골목:posts"+refused.String()))
			w, stop := work(t, s, h, queue.Lane{Name: "인스타", Gate: g, Workers: 1})
			settle(time.Minute)
			if n := calls.Load(); n != 3 || w.Stopped("인스타") == "" {
				t.Errorf("%s: %d calls in a minute, stopped for %q", refused, n, w.Stopped("인스타"))
			}
			rows(t, s, `select lane, reason from lane_stop`, "인스타|인스타: 국물이 식었다")
			stop()
			within(t, s, func(tx *queue.Tx) error {
				_, err := tx.Discard("ig:을지로골목:posts" + refused.String())
				return err
			})
		}
	})
}
