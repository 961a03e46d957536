package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sumbi/adapters"
	"sumbi/queue"
)

// crawl is the model: some lists, each a chain of pages, walked by steps that may fail, come late or die with their process.
type crawl struct {
	t     *testing.T // for what belongs to no single sequence
	dir   string
	files int
	s     *queue.Store
	lists []*chain
	held  []*step
	late  []*step // steps whose job was handed out again

	until int // statements that are run before the process dies; 0: it lives
	die   func() error
}

// statement is told of every statement that the writing connection is about to run.
func (c *crawl) statement() error {
	if c.until == 0 {
		return nil
	}
	if c.until--; c.until > 0 {
		return nil
	}
	return c.die()
}

// chain is what the upstream has in one list, and how far the file may be.
type chain struct {
	walk  int64
	key   string
	pages [][]adapters.Record
	done  int // pages that were committed
}

// step is a job in somebody's hands, with the page it has fetched.
type step struct {
	job  queue.Job
	list *chain
	walk queue.Walk
	page int
}

const cursors = "abcdefghijklmnopqrstuvwxyz"

// TestCrawlSurvivesAnything runs random interleavings of steps, failures, rollbacks, panics, late workers and crashes.
func TestCrawlSurvivesAnything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var n int
	rapid.Check(t, func(rt *rapid.T) {
		n++
		c := &crawl{t: t, dir: filepath.Join(dir, fmt.Sprint(n))}
		defer c.clean()
		c.start(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"":          c.invariants,
			"take":      c.take,
			"take more": c.take,
			"commit":    func(rt *rapid.T) { c.end(rt, c.pick(rt), "") },
			"commit ":   func(rt *rapid.T) { c.end(rt, c.pick(rt), "") },
			"error":     func(rt *rapid.T) { c.end(rt, c.pick(rt), "error") },
			"panic":     func(rt *rapid.T) { c.end(rt, c.pick(rt), "panic") },
			"not yet":   func(rt *rapid.T) { c.end(rt, c.pick(rt), "again") },
			"fail":      c.fail,
			"late":      c.tooLate,
			"new start": c.restart,
			"retry":     c.retry,
		})
		c.drain(rt)
	})
}

func ok(rt *rapid.T, err error) {
	rt.Helper()
	if err != nil {
		rt.Fatal(err)
	}
}

func (c *crawl) open(rt *rapid.T, path string) {
	s, err := queue.Open(context.Background(), path, schema, queue.Owner)
	ok(rt, err)
	ok(rt, s.Exec(context.Background(), `pragma synchronous = off`))
	s.Hold("인스타", time.Millisecond) // so that a job that is held may be handed out again
	ok(rt, s.Statements(c.statement))
	c.s = s
}

func (c *crawl) clean() {
	if c.s != nil {
		_ = c.s.Close()
	}
	_ = os.RemoveAll(c.dir)
}

func (c *crawl) tx(rt *rapid.T, f func(tx *queue.Tx) error) { ok(rt, c.s.Tx(context.Background(), f)) }

func (c *crawl) start(rt *rapid.T) {
	ok(rt, os.Mkdir(c.dir, 0o700))
	path := filepath.Join(c.dir, "sumbi.db")
	ok(rt, os.WriteFile(path, template, 0o600))
	c.open(rt, path)
	lists := rapid.IntRange(1, 3).Draw(rt, "lists")
	c.tx(rt, func(tx *queue.Tx) error {
		run, _, err := tx.AskRun("matzip", true, nil)
		if err != nil {
			return err
		}
		for i := range lists {
			ws, err := tx.Begin(run, fmt.Sprintf("맛집%d", i), []string{"posts"})
			if err != nil {
				return err
			}
			ch := &chain{walk: ws[0].ID, key: fmt.Sprintf("ig:맛집%d:posts", i)}
			for p := range rapid.IntRange(1, 4).Draw(rt, "pages") {
				// Neighbouring pages overlap by one record, as they do when posts are deleted meanwhile.
				ch.pages = append(ch.pages, []adapters.Record{post(fmt.Sprintf("%d-%d", i, p), "냉면", 1), post(fmt.Sprintf("%d-%d", i, p+1), "냉면", 1)})
			}
			c.lists = append(c.lists, ch)
			if err := ch.follow(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// follow adds the job of the list's next page.
func (ch *chain) follow(tx *queue.Tx) error {
	added, err := tx.Add(queue.Job{Pipeline: "matzip", Lane: "인스타", Kind: queue.KindPage, Key: ch.key, Args: fmt.Appendf(nil, "%d", ch.walk)})
	if err == nil && !added {
		return errors.New("the next page is refused")
	}
	return err
}

func (c *crawl) take(rt *rapid.T) {
	time.Sleep(time.Millisecond) // a hold passes
	j, some, err := c.s.Take(context.Background(), "인스타")
	ok(rt, err)
	if !some {
		return
	}
	var id int64
	_, err = fmt.Sscan(string(j.Args), &id)
	ok(rt, err)
	w, err := c.s.Walk(context.Background(), id)
	ok(rt, err)
	ch := c.lists[slices.IndexFunc(c.lists, func(ch *chain) bool { return ch.walk == id })]
	if i := slices.IndexFunc(c.held, func(h *step) bool { return h.job.ID == j.ID }); i >= 0 {
		c.late = append(c.late, c.held[i])
		c.held = slices.Delete(c.held, i, i+1)
	}
	c.held = append(c.held, &step{job: j, list: ch, walk: w, page: ch.index(w)})
}

// index is the page that a walk's cursor asks for.
func (ch *chain) index(w queue.Walk) int {
	if w.Cursor == "" {
		return 0
	}
	return slices.Index([]byte(cursors), w.Cursor[0])
}

func (c *crawl) pick(rt *rapid.T) *step {
	if len(c.held) == 0 {
		rt.Skip("nothing is in flight")
	}
	i := rapid.IntRange(0, len(c.held)-1).Draw(rt, "step")
	h := c.held[i]
	c.held = slices.Delete(c.held, i, i+1)
	return h
}

// commit is what jobs/page.go does in small: records, walk, next page.
func (st *step) commit(trouble string) queue.Commit {
	return func(tx *queue.Tx) error {
		if trouble == "again" {
			tx.Again(0)
			return nil
		}
		if _, err := tx.Put(st.walk, st.list.pages[st.page]); err != nil {
			return err
		}
		w := st.walk
		w.Pages++
		if last := st.page+1 == len(st.list.pages); last {
			w.State, w.Cursor, w.Mark = queue.WalkIdle, "", st.list.pages[0][0].Time
		} else {
			w.Cursor = adapters.Cursor(cursors[st.page+1 : st.page+2])
		}
		if err := tx.Advance(&w); err != nil {
			return err
		}
		if w.State == queue.WalkWalking {
			if err := st.list.follow(tx); err != nil {
				return err
			}
		}
		switch trouble {
		case "error":
			return errSoup
		case "panic":
			panic(errSoup)
		}
		return nil
	}
}

func (c *crawl) end(rt *rapid.T, st *step, trouble string) {
	err := c.s.Finish(context.Background(), st.job, st.commit(trouble))
	switch {
	case trouble == "again":
		ok(rt, err)
	case trouble != "":
		if err == nil || errors.Is(err, queue.ErrStale) {
			rt.Fatalf("a commit that ends in %s: %v", trouble, err)
		}
		ok(rt, c.s.PutBack(context.Background(), quick, st.job, err))
	default:
		ok(rt, err)
		if st.page != st.list.done {
			rt.Fatalf("page %d of %s was committed after %d", st.page, st.list.key, st.list.done)
		}
		st.list.done++
	}
}

var quick = queue.Lane{Name: "인스타", Attempts: 3, Backoff: queue.Backoff{Base: time.Nanosecond, Cap: time.Nanosecond}}

func (c *crawl) fail(rt *rapid.T) {
	st := c.pick(rt)
	cause := rapid.SampledFrom([]error{errSoup, kind(adapters.Throttled, time.Hour), kind(adapters.Permanent, 0), queue.ErrShutdown}).Draw(rt, "cause")
	ok(rt, c.s.PutBack(context.Background(), quick, st.job, cause))
}

// tooLate lets a worker end a job that was handed out again after it.
func (c *crawl) tooLate(rt *rapid.T) {
	if len(c.late) == 0 {
		rt.Skip("nobody is late")
	}
	st := c.late[0]
	c.late = c.late[1:]
	var err error
	if rapid.Bool().Draw(rt, "fails") {
		err = c.s.PutBack(context.Background(), quick, st.job, kind(adapters.Permanent, 0))
	} else {
		err = c.s.Finish(context.Background(), st.job, st.commit(""))
	}
	if !errors.Is(err, queue.ErrStale) {
		rt.Fatalf("a late worker: %v, want ErrStale", err)
	}
}

// restart ends the process with whatever is in flight: it closes the file, or is killed.
func (c *crawl) restart(rt *rapid.T) {
	if rapid.Bool().Draw(rt, "killed") {
		c.crash(rt)
		return
	}
	ok(rt, c.s.Close())
	c.held, c.late = nil, nil
	c.open(rt, c.s.Path())
}

// crash goes on with what a killed process leaves: between any two statements of a step, or between two steps.
func (c *crawl) crash(rt *rapid.T) {
	old := c.s
	var path string
	c.die = func() error {
		c.files++
		dir := filepath.Join(c.dir, fmt.Sprint(c.files))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		path = copyFile(c.t, old.Path(), dir)
		return nil
	}
	statements := rapid.IntRange(0, 25).Draw(rt, "statements")
	if len(c.held) > 0 && statements > 0 {
		st := c.pick(rt)
		within := func(tx *queue.Tx) error {
			if err := st.commit("")(tx); err != nil || path != "" {
				return err
			}
			c.until = 0 // it runs fewer
			return c.die()
		}
		c.until = statements
		if rapid.Bool().Draw(rt, "it failed") {
			ok(rt, old.PutBack(context.Background(), quick, st.job, errSoup))
		} else {
			ok(rt, old.Finish(context.Background(), st.job, within))
		}
		c.until = 0
	}
	if path == "" {
		ok(rt, c.die())
	}
	ok(rt, old.Close())
	c.held, c.late = nil, nil
	c.open(rt, path)
}

// retry is a person who brings the dead back and what waits to the front.
func (c *crawl) retry(rt *rapid.T) {
	js, err := c.s.Jobs(context.Background(), "", "", 100)
	ok(rt, err)
	for _, j := range js {
		if j.State == "running" {
			continue
		}
		c.tx(rt, func(tx *queue.Tx) error { return tx.Revive(j.ID) })
	}
}

func (c *crawl) rows(rt *rapid.T, query string) []string {
	got, err := c.s.Rows(context.Background(), query)
	ok(rt, err)
	return got
}

func (c *crawl) invariants(rt *rapid.T) {
	if got := c.rows(rt, `select key from job where state = 'live' group by key having count(*) > 1`); len(got) > 0 {
		rt.Fatalf("live twice: %v", got)
	}
	if got := c.rows(rt, `select id, body from goqite g where not exists (select 1 from job j where j.message = g.id and j.id = cast(g.body as text) and j.state = 'live')
		union all select id, message from job j where state = 'live' and message is not null and not exists (select 1 from goqite g where g.id = j.message)`); len(got) > 0 {
		rt.Fatalf("messages and jobs do not agree: %v", got)
	}
	want := map[string]bool{}
	for _, ch := range c.lists {
		w, err := c.s.Walk(context.Background(), ch.walk)
		ok(rt, err)
		state, jobs := queue.WalkWalking, "1"
		if ch.done == len(ch.pages) {
			state, jobs = queue.WalkIdle, "0"
		}
		if w.State != state || w.Pages != ch.done || state == queue.WalkWalking && ch.index(w) != ch.done {
			rt.Fatalf("%s stands at %+v after %d of %d pages", ch.key, w, ch.done, len(ch.pages))
		}
		if unfinished := state == queue.WalkWalking; w.Mark.IsZero() != unfinished {
			rt.Fatalf("%s has the mark %s after %d of %d pages", ch.key, w.Mark, ch.done, len(ch.pages))
		}
		if got := c.rows(rt, `select count(*) from job where key = '`+ch.key+`'`); got[0] != jobs {
			rt.Fatalf("%s has %s jobs after %d of %d pages", ch.key, got[0], ch.done, len(ch.pages))
		}
		for _, p := range ch.pages[:ch.done] {
			for _, r := range p {
				want[r.Key] = true
			}
		}
	}
	got := c.rows(rt, `select key from record where id in (select record from listing)`)
	if len(got) != len(want) || slices.ContainsFunc(got, func(k string) bool { return !want[k] }) {
		rt.Fatalf("stored %v, want %d records", got, len(want))
	}
}

// drain works in peace until nothing is left; then everything must be there.
func (c *crawl) drain(rt *rapid.T) {
	c.held, c.late = nil, nil
	for range 100 {
		c.retry(rt)
		c.take(rt)
		if len(c.held) == 0 {
			break
		}
		c.end(rt, c.pick(rt), "")
	}
	c.invariants(rt)
	for _, ch := range c.lists {
		if ch.done != len(ch.pages) {
			rt.Fatalf("%s ended after %d of %d pages", ch.key, ch.done, len(ch.pages))
		}
	}
	if got := c.rows(rt, `select 'job', id from job union all select 'message', id from goqite`); len(got) > 0 {
		rt.Fatalf("left over: %v", got)
	}
	ok(rt, c.s.Check(context.Background()))
}
