package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A group takes no more commits and no longer than this, so that the first of them and a claim behind it do not wait for long.
const (
	maxGroup = 32
	maxRun   = 4 * time.Millisecond
)

// weight says what a power cut may take back.
type weight bool

const (
	// full survives a power cut once it has returned.
	full weight = false
	// light may be undone by a power cut, together with every later light one: a claim, which is then simply free again.
	// The end of the process alone undoes nothing.
	light weight = true
)

// pending is a commit on its way into a transaction.
type pending struct {
	f      func(tx *Tx) error
	tx     *Tx
	weight weight
	turn   chan bool // true: the lead is yours; false: done
	done   bool
	err    error
	thrown any // what f panicked with, for its caller
}

// groups lets commits that wait at the same time share one transaction, and so one flush to the disk. A lone commit waits for
// nobody: it begins at once, and whoever comes while it runs goes with it or next. Claims go before the rest, in groups of
// their own: a call waits for each.
type groups struct {
	mu        sync.Mutex
	busy      bool
	waiting   map[weight][]*pending
	committed atomic.Int64
}

// transact is the one way to write. Every commit goes through it.
func (s *file) transact(ctx context.Context, w weight, j *Job, f func(tx *Tx) error) error {
	p := &pending{f: f, weight: w, turn: make(chan bool, 1)}
	// Once begun a commit comes to its end: to break it off would take the whole group along.
	p.tx = &Tx{s: s.Store, ctx: context.WithoutCancel(ctx), job: j, asked: ctx}
	g := &s.groups
	g.mu.Lock()
	if g.waiting == nil {
		g.waiting = map[weight][]*pending{}
	}
	g.waiting[w] = append(g.waiting[w], p)
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if lead || <-p.turn {
		s.lead(p)
	}
	if p.thrown != nil {
		panic(p.thrown)
	}
	if p.err != nil {
		return s.explain(p.err)
	}
	for lane := range p.tx.wake {
		s.wakeLane(lane)
	}
	s.signal()
	return nil
}

// next takes up to n commits of weight w that wait.
func (g *groups) next(w weight, n int) []*pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = min(n, len(g.waiting[w]))
	out := g.waiting[w][:n:n]
	g.waiting[w] = g.waiting[w][n:]
	return out
}

// first returns who waits at the head, nil if nobody does.
func (g *groups) first() *pending {
	for _, w := range []weight{light, full} {
		if len(g.waiting[w]) > 0 {
			return g.waiting[w][0]
		}
		g.waiting[w] = nil
	}
	return nil
}

// lead commits groups until p is done, and gives the lead to whoever waits then.
func (s *file) lead(p *pending) {
	g := &s.groups
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if next := g.first(); next != nil {
			next.turn <- true
		} else {
			g.busy = false
		}
	}()
	for !p.done {
		g.mu.Lock()
		w := g.first().weight
		g.mu.Unlock()
		s.group(w, p)
	}
}

// group commits what waits of one weight. leader is not told: it is here.
func (s *file) group(w weight, leader *pending) {
	var all []*pending
	defer func() {
		for _, p := range all {
			p.done = true
			if p != leader {
				p.turn <- false
			}
		}
	}()
	left, began := maxGroup, time.Now()
	if s.Separate {
		left = 1
	}
	more := func() []*pending {
		if time.Since(began) > maxRun {
			return nil
		}
		m := s.groups.next(w, left)
		all, left = append(all, m...), left-len(m)
		return m
	}
	for some := more(); len(some) > 0; {
		some = s.transaction(w, some, more)
	}
}

// transaction commits a group and whoever joins it meanwhile. It returns those that have to go again because another one has
// taken the transaction along before they had run.
func (s *file) transaction(w weight, group []*pending, more func() []*pending) (again []*pending) {
	var ran []*pending // successful so far
	fail := func(err error) {
		for _, p := range ran {
			p.err = err
		}
	}
	if err := s.write.sync(w); err != nil {
		ran = group
		fail(err)
		return nil
	}
	t, err := s.begin()
	if err != nil {
		ran = group
		fail(err)
		return nil
	}
	defer func() { _ = t.Rollback() }()
	for len(group) > 0 {
		p := group[0]
		group = group[1:]
		p.err = p.tx.asked.Err()
		switch {
		case p.err != nil:
		case len(ran) == 0:
			s.run(p, t)
			if p.err != nil {
				return group // nothing else was in it
			}
		default:
			if err := s.runInside(p, t); err != nil {
				fail(err)
				return group
			}
		}
		if p.err == nil {
			ran = append(ran, p)
		}
		if len(group) == 0 {
			group = more()
		}
	}
	if err := t.Commit(); err != nil {
		fail(err)
		return nil
	}
	s.groups.committed.Add(1)
	return nil
}

// begin begins a transaction. While another program holds the file an owner has the patience of a step that has its answer: what
// it could not store would be asked, and paid, for again.
func (s *file) begin() (*sql.Tx, error) {
	for began := time.Now(); ; {
		t, err := s.write.conn.BeginTx(context.Background(), nil)
		if !s.owner || !busy(s.explain(err)) || time.Since(began) > awayLimit {
			return t, err
		}
		sleep(context.Background(), awayPause/10) // SQLite does not always wait itself
	}
}

// runInside runs p behind a savepoint of its own. An error means that the whole transaction is lost.
func (s *file) runInside(p *pending, t *sql.Tx) error {
	const mark, release, back = `savepoint one`, `release one`, `rollback to one`
	ctx := context.Background()
	if _, err := s.write.conn.ExecContext(ctx, mark); err != nil {
		p.err = err
		return err
	}
	s.run(p, t)
	if p.err != nil {
		if _, err := s.write.conn.ExecContext(ctx, back); err != nil {
			return errors.Join(p.err, err)
		}
	}
	if _, err := s.write.conn.ExecContext(ctx, release); err != nil {
		p.err = errors.Join(p.err, err)
		return err
	}
	return nil
}

// run calls p's function in t. What it throws goes to its own caller.
func (s *file) run(p *pending, t *sql.Tx) {
	returned := false
	defer func() {
		if returned {
			return
		}
		p.thrown = recover()
		p.err = fmt.Errorf("panic in a commit: %v\n%s", p.thrown, debug.Stack())
	}()
	p.tx.tx, p.tx.goq, p.tx.now, p.tx.wake = s.write.conn, t, s.Now().UTC(), map[string]bool{}
	p.err = p.f(p.tx)
	if p.err == nil {
		p.err = p.tx.lost
	}
	returned = true
}

// writer is the one connection that writes.
type writer struct {
	db     *sql.DB
	conn   *sql.Conn // of db
	weight weight
	fixed  bool // the pragma is left as it is
}

// sync sets what the next transaction survives. SQLite takes that between transactions only.
func (w *writer) sync(want weight) error {
	if w.weight == want || w.fixed {
		return nil
	}
	mode := `pragma synchronous = full`
	if want == light {
		mode = `pragma synchronous = normal`
	}
	if _, err := w.conn.ExecContext(context.Background(), mode); err != nil {
		return err
	}
	w.weight = want
	return nil
}
