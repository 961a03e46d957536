package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sumbi/adapters"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// Look searches the finders of a mention's pipeline for words that a person has typed, at the pace of their lanes, and
// returns what they find as the mention's scorer orders it. What is remembered is not asked again, and the answers are
// remembered as those of a match are. A finder that cannot be asked is in the error, beside what the others have found.
func (e *Engine) Look(ctx context.Context, m queue.Mention, words string) ([]queue.Option, []queue.Asked, error) {
	p, err := e.pipeline(m.Pipeline)
	if err != nil {
		return nil, nil, err
	}
	if p.Find == nil {
		return nil, nil, fmt.Errorf("pipeline %s does not search places", p.Name)
	}
	mm, err := p.Find.Mention(m)
	if err != nil {
		return nil, nil, err
	}
	s := matchStep{find: p.Find, m: m, mm: mm}
	var failed []error
	for _, f := range p.Find.Finders {
		known, err := s.remembered(ctx, e, f.Name(), words)
		if errors.Is(err, queue.ErrNotFound) {
			known, err = e.look(ctx, p, f, words)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", f.Name(), err))
			continue
		}
		s.add(f.Name(), words, known)
	}
	return s.options(), s.done, errors.Join(failed...)
}

// look asks one finder, and books the request outside any run.
func (e *Engine) look(ctx context.Context, p *Pipeline, f Finder, words string) (a answer, err error) {
	if e.Held != nil {
		if until, why := e.Held(f.Name()); until.After(e.Store.Now().Add(shortHold)) {
			return a, fmt.Errorf("%s until %s", why, until.Format("2006-01-02 15:04 MST"))
		}
	}
	meter := &adapters.Meter{}
	defer meter.Booked()
	call := adapters.WithMeter(ctx, meter)
	if err := e.affordCalls(call, p.Name, f.Name(), 1); err != nil {
		return a, err
	}
	var l queue.Lane
	if i := slices.IndexFunc(e.Lanes, func(l queue.Lane) bool { return l.Name == f.Name() }); i >= 0 {
		l = e.Lanes[i]
	}
	call, done, err := permitted(call, l)
	if err != nil {
		return a, err
	}
	a.found, err = f.Find(call, words)
	done()
	c := adapters.Classify(err)
	waste := queue.Waste("")
	if c != nil && c.Kind != adapters.Permanent {
		waste = queue.WasteFailed
	}
	if c != nil && c.Kind == adapters.Permanent && c.Reason == adapters.ReasonInvalid {
		a.found, err = nil, nil // words that the finder does not take find nothing
	}
	// What was asked is paid for, also when nobody waits for the answer any more.
	save, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	booking := e.Store.Tx(save, func(tx *queue.Tx) error {
		if err == nil && c == nil && !p.Find.fleeting(f.Name()) {
			if err := tx.SaveSearch(f.Name(), words, a.found); err != nil {
				return err
			}
		}
		return tx.BookCalls("", meter, waste)
	})
	return a, errors.Join(err, booking)
}

// options are the candidates as a person chooses from them, best first.
func (s *matchStep) options() []queue.Option {
	scored := match.Decide(s.mm, s.union).Scored
	all := make([]queue.Option, 0, len(scored))
	for _, sc := range scored[:min(len(scored), keptCandidates)] {
		c := s.union[sc.Index]
		o := queue.Option{Candidate: c, Score: sc.Score, Why: sc.Why}
		if s.find.OwnOnly { // the person may see its text, nobody keeps it
			o.Key, o.Query = match.PlaceKey(c), s.words[sc.Index]
		}
		all = append(all, o)
	}
	return all
}

// OwnOption is an option as it is chosen where nothing of the finders' text is kept: options that Look has found for such a
// pipeline have a Key beside their text.
func OwnOption(o queue.Option) queue.Option {
	if o.Key != "" && o.Name != "" {
		o.Candidate = adapters.Candidate{Finder: o.Finder, Link: o.Link}
	}
	return o
}
