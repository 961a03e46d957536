//go:build unix

package queue_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// BenchmarkStep is one page: claim, then a commit with 12 records, the walk and the next page.
func BenchmarkStep(b *testing.B) {
	s := fresh(b)
	_, ws := begin(b, s, "을지로골목", "posts")
	w := ws[0]
	add(b, s, pageJob("ig:을지로골목:posts"))
	page := 0
	for b.Loop() {
		recs := make([]adapters.Record, 12)
		for i := range recs {
			recs[i] = post(fmt.Sprintf("%d-%d", page, i), "평양냉면 한 그릇에 만 육천 원, 을지로 골목 안쪽", 1)
		}
		page++
		j := take(b, s)
		err := s.Finish(b.Context(), j, func(tx *queue.Tx) error {
			if _, err := tx.Put(w, recs); err != nil {
				return err
			}
			w.Cursor, w.Pages = adapters.Cursor(fmt.Sprint(page)), page
			if err := tx.Advance(&w); err != nil {
				return err
			}
			_, err := tx.Add(pageJob("ig:을지로골목:posts"))
			return err
		})
		check(b, err)
	}
}

// BenchmarkEngine is the same with 16 steps at a time.
func BenchmarkEngine(b *testing.B) {
	s := fresh(b)
	const chains = 32
	walks := map[string]*queue.Walk{}
	for i := range chains {
		name := fmt.Sprintf("맛집%d", i)
		_, ws := begin(b, s, name, "posts")
		walks[name] = &ws[0]
		add(b, s, pageJob(name))
	}
	var n atomic.Int64
	ctx, stop := context.WithCancel(b.Context())
	h := func(_ context.Context, j queue.Job) (queue.Commit, error) {
		w := walks[j.Key]
		recs := make([]adapters.Record, 12)
		for i := range recs {
			recs[i] = post(fmt.Sprintf("%s-%d-%d", j.Key, w.Pages, i), "평양냉면 한 그릇에 만 육천 원, 을지로 골목 안쪽", 1)
		}
		return func(tx *queue.Tx) error {
			if _, err := tx.Put(*w, recs); err != nil {
				return err
			}
			w.Pages++
			w.Cursor = adapters.Cursor(fmt.Sprint(w.Pages))
			if err := tx.Advance(w); err != nil {
				return err
			}
			_, err := tx.Add(pageJob(j.Key))
			if n.Add(1) == int64(b.N) {
				stop()
			}
			return err
		}, nil
	}
	b.ResetTimer()
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	w := queue.Worker{Store: s, Log: slog.New(slog.DiscardHandler), Handlers: map[queue.Kind]queue.Handler{queue.KindPage: h}, Lanes: []queue.Lane{{Name: "인스타", Workers: 16, Deadline: time.Minute}}}
	check(b, w.Run(ctx))
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N)/1000, "cpu-µs/op")
}

// BenchmarkTakeWithDelayed is a claim and its end while many jobs wait for their time.
func BenchmarkTakeWithDelayed(b *testing.B) {
	for _, n := range []int{0, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := fresh(b)
			within(b, s, func(tx *queue.Tx) error {
				for i := range n {
					j := pageJob(fmt.Sprint(i))
					j.At, j.Priority = time.Now().Add(time.Hour), 100
					if _, err := tx.Add(j); err != nil {
						return err
					}
				}
				return nil
			})
			add(b, s, pageJob("지금"))
			for b.Loop() {
				check(b, s.Finish(b.Context(), take(b, s), func(tx *queue.Tx) error { tx.Again(0); return nil }))
			}
		})
	}
}
