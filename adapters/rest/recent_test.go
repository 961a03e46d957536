package rest_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sumbi/adapters/rest"
)

// TestRecent counts what leaves by the second, for five minutes.
func TestRecent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := rest.New(rest.Options{Upstream: "naver", BaseURL: "http://naver.test", Transport: &upstream{}})
		var out any
		call := func(n int) {
			for range n {
				if _, err := c.GetJSON(t.Context(), "/search", nil, &out); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		for _, n := range []int{3, 0, 5} {
			call(n)
		}
		if got := c.Recent(); len(got) != 300 || !slices.Equal(got[297:], []int{3, 0, 5}) || sum(got) != 8 {
			t.Errorf("got %v", got)
		}
		time.Sleep(298 * time.Second)
		if got := c.Recent(); got[1] != 5 || sum(got) != 5 {
			t.Errorf("after five minutes: %v", got)
		}
		time.Sleep(time.Hour)
		call(1)
		if got := c.Recent(); got[299] != 1 || sum(got) != 1 {
			t.Errorf("after an hour: %v", got)
		}
	})
}

func sum(all []int) (n int) {
	for _, x := range all {
		n += x
	}
	return n
}
