package queue

import (
	"context"
	"errors"
	"time"
)

// sessionKey is where a session of the page is remembered: all processes of a state know it, and a start forgets none.
const sessionKey = "session."

// AddSession remembers a session under a hash of its secret until it ends. Those that have ended are forgotten, and so are the ones
// that end first when there would be more than most.
func (tx *Tx) AddSession(hash string, now, ends time.Time, most int) error {
	if err := tx.SetMeta(sessionKey+hash, stamp(ends)); err != nil {
		return err
	}
	if _, err := tx.exec(`delete from meta where key like ? and value <= ?`, sessionKey+"%", stamp(now)); err != nil {
		return err
	}
	var last string
	err := tx.one(`select value from meta where key like ? order by value desc limit 1 offset ?`, []any{sessionKey + "%", most - 1}, &last)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = tx.exec(`delete from meta where key like ? and value < ?`, sessionKey+"%", last)
	return err
}

// EndSession forgets a session.
func (tx *Tx) EndSession(hash string) error { return tx.DropMeta(sessionKey + hash) }

// SessionEnds returns when a session ends; zero when there is none.
func (s *Store) SessionEnds(ctx context.Context, hash string) (ends time.Time, err error) {
	err = one(ctx, s.read, `select value from meta where key = ?`, []any{sessionKey + hash}, instant{&ends})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return ends, s.explain(err)
}
