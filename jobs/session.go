package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// session is the log-in that a step uses. It is not used where the targets of a pipeline do not log in.
type session struct {
	queue.Login
	used    bool
	claimed bool // nobody else may renew it meanwhile
	stands  bool // what was kept of it is what the state holds
}

// logsIn reports whether the targets of the pipeline log in.
func (p *Pipeline) logsIn() bool {
	_, ok := p.Source.(adapters.Authenticator)
	return ok
}

// loggedOut says why nothing can be asked for a target, or "".
func (p *Pipeline) loggedOut(tx *queue.Tx, target string) (string, error) {
	if !p.logsIn() {
		return "", nil
	}
	l, err := tx.Login(p.Name, target)
	if errors.Is(err, queue.ErrNotFound) {
		return noLogin(p.Name), nil
	}
	return dead(l), err
}

func noLogin(pipeline string) string {
	return fmt.Sprintf("it has no log-in; `sumbi login %s` takes one", pipeline)
}

func dead(l queue.Login) string {
	if l.Dead.IsZero() {
		return ""
	}
	return fmt.Sprintf("no call: its log-in is not accepted since %s (%s); `sumbi login %s` takes a new one", l.Dead.In(korea).Format("2006-01-02 15:04"), l.Reason, l.Pipeline)
}

// korea is the zone of times that people read, and of days.
var korea = time.FixedZone("KST", 9*60*60)

// session puts the target's credential into q, and says why there is none that can be used. A call that may renew it is made
// by one step at a time, on whatever machine: the others wait.
func (e *Engine) session(ctx context.Context, p *Pipeline, j queue.Job, w queue.Walk, q *adapters.Query) (s *session, why string, err error) {
	s = &session{}
	if !p.logsIn() {
		return s, "", nil
	}
	l, c, err := e.Store.Credential(ctx, p.Name, w.Target)
	if errors.Is(err, queue.ErrNotFound) {
		return s, noLogin(p.Name), nil
	}
	if why := dead(l); why != "" {
		return s, why, nil
	}
	if errors.Is(err, queue.ErrSealed) {
		stands, serr := e.Store.KeyStands(ctx)
		if serr != nil {
			return s, "", serr
		}
		if stands { // it is this one's trouble
			err = e.Store.Note(ctx, j, func(tx *queue.Tx) error {
				_, err := tx.BuryLogin(l, queue.Closed)
				return err
			})
			return s, queue.Closed, err
		}
		err = fmt.Errorf("%w: %w", err, queue.ErrKeyChanged)
	}
	if err != nil {
		return s, "", &adapters.Error{Kind: adapters.NeedsHuman, Err: err}
	}
	q.Credential, s = c, &session{Login: l, used: true, stands: true}
	q.Still = func(ctx context.Context) error {
		now, err := e.Store.Login(ctx, p.Name, w.Target)
		switch {
		case err != nil && !errors.Is(err, queue.ErrNotFound):
			return err
		case err != nil || now.Rev != l.Rev || !now.Dead.IsZero():
			return &adapters.Error{Kind: adapters.Throttled, After: time.Second, Err: errors.New("its log-in has changed meanwhile")}
		}
		return nil
	}
	if now := e.Store.Now(); l.Expires.Sub(now) < p.Renews {
		until := now.Add(time.Minute)
		if end, ok := ctx.Deadline(); ok {
			until = now.Add(time.Until(end))
		}
		if s.claimed, err = e.Store.ClaimLogin(ctx, j, l, until); err != nil {
			return s, "", err
		}
		if !s.claimed {
			return s, "", &adapters.Error{Kind: adapters.Throttled, After: time.Second, Err: errors.New("its log-in is being renewed")}
		}
	}
	return s, "", nil
}

// keep stores what a call has made of the log-in, in the commit of the call.
func (s *session) keep(tx *queue.Tx, renewed *adapters.Credential) (err error) {
	switch {
	case s.used && renewed != nil:
		s.stands, err = tx.RenewLogin(s.Login, *renewed)
		return err
	case s.claimed:
		return tx.ReleaseLogin(s.Login)
	}
	return nil
}

// bury notes that the log-in is not accepted any more, after keep. One that was handed in meanwhile is none of its business.
func (s *session) bury(tx *queue.Tx, renewed *adapters.Credential, why string) error {
	if !s.stands {
		return nil
	}
	l := s.Login
	if renewed != nil {
		l.Rev++ // the one that has just been kept
	}
	_, err := tx.BuryLogin(l, why)
	return err
}

// settle ends a step whose call has failed: also then the call may have renewed the log-in.
func (e *Engine) settle(ctx context.Context, j queue.Job, s *session, renewed *adapters.Credential, commit queue.Commit, err error) (queue.Commit, error) {
	if commit != nil {
		return func(tx *queue.Tx) error {
			if err := s.keep(tx, renewed); err != nil {
				return err
			}
			return commit(tx)
		}, err
	}
	if s.claimed || (s.used && renewed != nil) {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if nerr := e.Store.Note(end, j, func(tx *queue.Tx) error { return s.keep(tx, renewed) }); nerr != nil {
			return nil, errors.Join(err, nerr)
		}
	}
	return nil, err
}
