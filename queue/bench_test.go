package queue_test

import (
	"fmt"
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
