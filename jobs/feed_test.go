package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sumbi/adapters"
)

// day0 is when post 0 was taken.
var day0 = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)

type post struct {
	key     string
	at      time.Time
	pinned  bool
	caption string
}

// posts returns n posts, newest first: the first is number from+n-1, the last number from. Their captions name nothing.
func posts(from, n int) []post {
	var all []post
	for i := from + n - 1; i >= from; i-- {
		all = append(all, post{key: "p" + strconv.Itoa(i), at: day0.Add(time.Duration(i) * time.Hour), caption: "🍜"})
	}
	return all
}

func pin(p post) post { p.pinned = true; return p }

// naming gives posts captions, each naming a place of its own.
func naming(ps []post) []post {
	ps = slices.Clone(ps)
	for i := range ps {
		ps[i].caption = "[" + ps[i].key + "식당] 다녀왔어요"
	}
	return ps
}

// feed is a Source: lists of accounts, a page at a time.
type feed struct {
	w       *world
	mu      sync.Mutex
	lists   map[string][]post // by "account/list", newest first
	size    int
	offsets bool // a cursor is a position; otherwise it names the post before
	total   int  // the upstream's own count of posts; 0 is not told
	asked   []adapters.Query
	script  func(q adapters.Query) (adapters.Page, error, bool) // answers in the feed's place
	after   func(q adapters.Query, n int) error                 // n is the number of the call, from 1
}

// put gives an account its posts; it has no reels unless they are put, too.
func (f *feed) put(account, list string, ps ...[]post) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists[account+"/"+list] = slices.Concat(ps...)
}

// calls returns how often a list was asked since the last calls.
func (f *feed) calls() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[string]int{}
	for _, q := range f.asked {
		n[q.Target+"/"+q.List]++
	}
	f.asked = nil
	return n
}

// cursors returns what was asked of one list since the last calls.
func (f *feed) cursors(list string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var cs []string
	for _, q := range f.asked {
		if q.List == list {
			cs = append(cs, string(q.Cursor))
		}
	}
	return strings.Join(cs, ",")
}

func (f *feed) Fetch(ctx context.Context, q adapters.Query) (adapters.Page, error) {
	if f.w.dead.Load() {
		return adapters.Page{}, errDead
	}
	adapters.CountCall(ctx, "instagram")
	f.mu.Lock()
	f.asked = append(f.asked, q)
	n := len(f.asked)
	script, after := f.script, f.after
	f.mu.Unlock()
	if script != nil {
		if pg, err, ok := script(q); ok {
			return pg, err
		}
	}
	f.mu.Lock()
	pg := f.page(q)
	f.mu.Unlock()
	if after != nil {
		if err := after(q, n); err != nil {
			return adapters.Page{}, err
		}
	}
	return pg, nil
}

func (f *feed) page(q adapters.Query) adapters.Page {
	all := f.lists[q.Target+"/"+q.List]
	from := 0
	if c := string(q.Cursor); f.offsets && c != "" {
		from, _ = strconv.Atoi(c)
	} else if c != "" {
		from = slices.IndexFunc(all, func(p post) bool { return p.key == c }) + 1
	}
	to := min(from+f.size, len(all))
	pg := page(q.Target, all[min(from, to):to]...)
	if q.List == "posts" {
		pg.Total = f.total
	}
	if to < len(all) {
		pg.Next = adapters.Cursor(all[to-1].key)
		if f.offsets {
			pg.Next = adapters.Cursor(strconv.Itoa(to))
		}
	}
	return pg
}

// page makes a page of posts, without a next one.
func page(account string, ps ...post) adapters.Page {
	var pg adapters.Page
	for _, p := range ps {
		data, err := json.Marshal(map[string]any{"account": account, "url": "https://www.instagram.com/p/" + p.key + "/", "caption": p.caption})
		if err != nil {
			panic(err)
		}
		if !p.pinned && p.at.After(pg.Newest) {
			pg.Newest = p.at
		}
		pg.Records = append(pg.Records, adapters.Record{Stream: "post", Key: p.key, Time: p.at, Pinned: p.pinned, Data: data})
	}
	return pg
}

// refuse is an error of the upstream.
func refuse(kind adapters.Kind, reason string) error {
	return &adapters.Error{Kind: kind, Reason: reason, Upstream: "instagram", Err: errors.New("the upstream says " + reason)}
}

// stored returns which posts the file has, the newest first.
func (w *world) stored() string {
	return strings.ReplaceAll(w.query(`select post from v_posts order by taken_at desc, post`), "\n", " ")
}

// walk returns how the walk of a list stands: state, mark as the number of a post, note.
func (w *world) walk(account, list string) string {
	w.tb.Helper()
	row := strings.SplitN(w.query(`select state, coalesce(mark, ''), note from walk where target = ? and list = ?`, account, list), "|", 3)
	if len(row) < 3 {
		return "none"
	}
	mark := "none"
	if row[1] != "" {
		at, err := time.Parse(time.RFC3339Nano, row[1])
		if err != nil {
			w.tb.Fatal(err)
		}
		mark = "p" + strconv.Itoa(int(at.Sub(day0)/time.Hour))
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", row[0], mark, row[2]))
}
