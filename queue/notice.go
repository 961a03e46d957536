package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"sumbi/adapters"
)

// forget is how long a trouble must be over before it is news when it comes back. A start takes stops back that the first
// call brings again.
const forget = time.Hour

// Notices lists what a person should know of, as it is now.
func (s *Store) Notices(ctx context.Context) ([]adapters.Notice, error) {
	ns, err := list(ctx, s.read, `select key, event, pipeline, text, at from v_troubles order by key`, nil, func(r *sql.Rows) (adapters.Notice, error) {
		var n adapters.Notice
		err := r.Scan(&n.Key, &n.Event, &n.Pipeline, &n.Text, instant{&n.At})
		return n, err
	})
	return ns, s.explain(err)
}

// notice is what the file remembers of a trouble.
type notice struct {
	adapters.Notice
	told time.Time
	gone time.Time // zero while it stands
}

func (s *Store) remembered(ctx context.Context) (map[string]notice, error) {
	ns, err := list(ctx, s.read, `select key, event, pipeline, text, at, told_at, gone_at from notice`, nil, func(r *sql.Rows) (n notice, err error) {
		return n, r.Scan(&n.Key, &n.Event, &n.Pipeline, &n.Text, instant{&n.At}, instant{&n.told}, instant{&n.gone})
	})
	all := make(map[string]notice, len(ns))
	for _, n := range ns {
		all[n.Key] = n
	}
	return all, s.explain(err)
}

// KeepNotices compares what stands now with what is remembered. It returns what nobody was told of yet, and when somebody
// was told of anything last. The file is written only when something has begun or ended.
func (s *Store) KeepNotices(ctx context.Context, stand []adapters.Notice) (untold []adapters.Notice, last time.Time, err error) {
	known, err := s.remembered(ctx)
	if err != nil {
		return nil, last, err
	}
	for _, n := range known {
		if n.told.After(last) {
			last = n.told
		}
	}
	var begun []adapters.Notice
	back, over := []string{}, []string{} // keys
	now := s.Now()
	stands := map[string]bool{}
	for _, n := range stand {
		stands[n.Key] = true
		k, ok := known[n.Key]
		switch {
		case !ok, !k.gone.IsZero() && now.Sub(k.gone) >= forget:
			n.At = now
			begun = append(begun, n)
			untold = append(untold, n)
			continue
		case !k.gone.IsZero():
			back = append(back, n.Key)
		}
		if k.told.IsZero() {
			n.At = k.At
			untold = append(untold, n)
		}
	}
	var ended []string
	for key, k := range known {
		switch {
		case stands[key]:
		case k.gone.IsZero() && !k.told.IsZero():
			over = append(over, key)
		case k.told.IsZero() || now.Sub(k.gone) >= forget:
			ended = append(ended, key)
		}
	}
	if len(begun)+len(back)+len(over)+len(ended) == 0 {
		return untold, last, nil
	}
	return untold, last, s.Tx(ctx, func(tx *Tx) error {
		var errs []error
		do := func(query string, args ...any) {
			_, err := tx.exec(query, args...)
			errs = append(errs, err)
		}
		for _, n := range begun {
			do(`insert into notice (key, event, pipeline, text, at) values (?, ?, ?, ?, ?) on conflict (key) do update set text = excluded.text, at = excluded.at, told_at = null, gone_at = null`,
				n.Key, n.Event, n.Pipeline, n.Text, stamp(n.At))
		}
		for _, key := range back {
			do(`update notice set gone_at = null where key = ?`, key)
		}
		for _, key := range over {
			do(`update notice set gone_at = ? where key = ?`, stamp(now), key)
		}
		for _, key := range ended {
			do(`delete from notice where key = ?`, key)
		}
		return errors.Join(errs...)
	})
}

// Told notes that a person was told of notices.
func (tx *Tx) Told(notices []adapters.Notice) error {
	for _, n := range notices {
		if _, err := tx.exec(`update notice set told_at = ? where key = ?`, stamp(tx.now), n.Key); err != nil {
			return err
		}
	}
	return nil
}
