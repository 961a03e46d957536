package jobs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sumbi/adapters"
)

// A renamed account is asked for by its id from then on; its marks and records stay under the name that it was given.
func TestRenamed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		name := "mat"
		w.feed.script = func(q adapters.Query) (adapters.Page, error, bool) {
			if q.List != "posts" {
				return adapters.Page{}, nil, false
			}
			if name != "mat" && !q.ByID && q.ID == "" {
				return adapters.Page{}, refuse(adapters.Permanent, adapters.ReasonGone), true
			}
			w.feed.mu.Lock()
			defer w.feed.mu.Unlock()
			pg := w.feed.page(q)
			pg.ID, pg.Name = "77", name
			return pg, nil, true
		}
		asked := func() string {
			var s []string
			for _, q := range w.feed.asked {
				if q.List == "posts" {
					s = append(s, fmt.Sprintf("%s %s %v %s", q.Target, q.ID, q.ByID, q.Cursor))
				}
			}
			w.feed.asked = nil
			return strings.Join(s, ", ")
		}
		w.feed.put("mat", "posts", posts(1, 4))
		w.run()
		equal(t, "at first", asked(), "mat  false , mat 77 false p2")
		w.is(`select upstream_id, renamed_to from v_accounts`, "77|")

		name = "맛집일기"
		w.feed.put("mat", "posts", posts(1, 8))
		w.run()
		equal(t, "renamed", asked(), "mat 77 false , mat 77 true p6, mat 77 true p3")
		w.is(`select account, upstream_id, renamed_to, stored, state from v_accounts`, "mat|77|맛집일기|8|ok")
		equal(t, "walk", w.walk("mat", "posts"), "idle p8")
		w.run()
		equal(t, "by its id", asked(), "mat 77 true ")

		name = "mat"
		w.run()
		equal(t, "renamed back", asked(), "mat 77 true ")
		w.is(`select upstream_id, renamed_to from v_accounts`, "77|")
		w.run()
		equal(t, "by its name", asked(), "mat 77 false ")
	})
}

// A name that belongs to somebody else now is an account that is gone: nothing of the other's is stored.
func TestTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.feed.put("mat", "posts", posts(1, 3))
		w.run()
		taken := &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "instagram", Err: errors.New("the name mat belongs to another account now")}
		w.feed.script = func(adapters.Query) (adapters.Page, error, bool) { return adapters.Page{}, taken, true }
		w.run()
		w.is(`select state, misses, note, stored from v_accounts`, "gone|1|instagram: the name mat belongs to another account now|3")
		equal(t, "walk", w.walk("mat", "posts"), "gone p3 instagram: the name mat belongs to another account now")
	})
}
