package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"sumbi/adapters"
)

// Login is what is known of a target's credential, without what is secret in it.
type Login struct {
	Pipeline string
	Target   string
	UID      string    // whose it is by the upstream's own id, as the upstream said
	Rev      int64     // compare-and-set
	Expires  time.Time // zero: not known
	Dead     time.Time // not accepted since; zero: it is
	Reason   string    // why it is not
	Created  time.Time // when the target's first one came
	Changed  time.Time
}

const loginColumns = `pipeline, target, uid, rev, expires_at, dead_at, reason, created_at, changed_at`

func loginFields(l *Login) []any {
	return []any{&l.Pipeline, &l.Target, &l.UID, &l.Rev, instant{&l.Expires}, instant{&l.Dead}, &l.Reason, instant{&l.Created}, instant{&l.Changed}}
}

func scanLogin(r *sql.Rows) (Login, error) {
	var l Login
	return l, r.Scan(loginFields(&l)...)
}

// Logins lists the credentials of a pipeline, of the newest target first.
func (s *Store) Logins(ctx context.Context, pipeline string) ([]Login, error) {
	ls, err := list(ctx, s.read, `select `+loginColumns+` from credential where pipeline = ? order by created_at desc, target`, []any{pipeline}, scanLogin)
	return ls, s.explain(err)
}

// DeadLogins lists the credentials that are not accepted any more, the longest dead first.
func (s *Store) DeadLogins(ctx context.Context) ([]Login, error) {
	ls, err := list(ctx, s.read, `select `+loginColumns+` from credential where dead_at is not null order by dead_at, pipeline, target`, nil, scanLogin)
	return ls, s.explain(err)
}

// Login is Tx.Login outside of a transaction.
func (s *Store) Login(ctx context.Context, pipeline, target string) (Login, error) {
	var l Login
	err := one(ctx, s.read, `select `+loginColumns+` from credential where pipeline = ? and target = ?`, []any{pipeline, target}, loginFields(&l)...)
	return l, s.explain(err)
}

// Login reads what is known of a target's credential; ErrNotFound when it has none.
func (tx *Tx) Login(pipeline, target string) (Login, error) {
	var l Login
	err := tx.one(`select `+loginColumns+` from credential where pipeline = ? and target = ?`, []any{pipeline, target}, loginFields(&l)...)
	return l, err
}

// TargetOf returns the target that is the upstream's user uid: the one with that user's credential, else the one whose lists were
// read as that user's, the newest first; ErrNotFound when there is none. Of two hand-ins at the same time the later one sees what
// the earlier one has stored.
func (tx *Tx) TargetOf(pipeline, uid string) (target string, err error) {
	if err := tx.lockKey(); err != nil {
		return "", err
	}
	err = tx.one(`select target from (select target, 1 as has_login, changed_at as at from credential where pipeline = ? and uid = ?
		union all select target, 0, coalesce(tried_at, '') from target where pipeline = ? and uid = ?) k order by has_login desc, at desc, target limit 1`,
		[]any{pipeline, uid, pipeline, uid}, &target)
	return target, err
}

// Other is a target of another pipeline.
type Other struct {
	Pipeline string
	Target   string
	UID      string // who it is by the upstream's own id
	LoggedIn bool   // it has a credential; else it has records
}

// Elsewhere lists the targets of other pipelines that are the upstream's user uid, or somebody under the name of target, those
// with a credential first.
func (tx *Tx) Elsewhere(pipeline, target, uid string) ([]Other, error) {
	return list(tx.ctx, tx.tx, `select pipeline, target, uid, 1 as has_login from credential where pipeline <> ? and (uid = ? or target = ?)
		union all select t.pipeline, t.target, t.uid, 0 from target t where t.pipeline <> ? and t.uid <> '' and (t.uid = ? or t.target = ?)
			and exists (select 1 from record r where r.pipeline = t.pipeline and r.target = t.target)
		order by has_login desc, pipeline, target`, []any{pipeline, uid, target, pipeline, uid, target}, func(r *sql.Rows) (o Other, err error) {
		return o, r.Scan(&o.Pipeline, &o.Target, &o.UID, &o.LoggedIn)
	})
}

// Renamed returns the names that a pipeline's targets go by now, by target, where that is another.
func (s *Store) Renamed(ctx context.Context, pipeline string) (map[string]string, error) {
	names := map[string]string{}
	_, err := list(ctx, s.read, `select target, name from target where pipeline = ? and name <> ''`, []any{pipeline}, func(r *sql.Rows) (target string, err error) {
		var name string
		err = r.Scan(&target, &name)
		names[target] = name
		return target, err
	})
	return names, s.explain(err)
}

// Credential reads and opens a target's credential; ErrNotFound when it has none.
func (s *Store) Credential(ctx context.Context, pipeline, target string) (Login, adapters.Credential, error) {
	var l Login
	var sealed []byte
	err := one(ctx, s.read, `select `+loginColumns+`, sealed from credential where pipeline = ? and target = ?`, []any{pipeline, target}, append(loginFields(&l), &sealed)...)
	if err != nil {
		return l, adapters.Credential{}, s.explain(err)
	}
	if s.vault == nil {
		return l, adapters.Credential{}, errNoKey
	}
	values, _, err := s.vault.read(pipeline, target, sealed)
	if err != nil {
		return l, adapters.Credential{}, fmt.Errorf("the log-in of %s in %s: %w", target, pipeline, err)
	}
	return l, adapters.Credential{Values: values, Expires: l.Expires}, nil
}

var errNoKey = errors.New("credentials are encrypted, and there is no key: set SUMBI_KEY")

// HandIn stores a credential that the upstream has accepted as that of uid. A target keeps one. It returns ErrKeyChanged when
// the key is not that of the state any more.
func (tx *Tx) HandIn(pipeline, target, uid string, c adapters.Credential) error {
	if tx.s.vault == nil {
		return errNoKey
	}
	if err := tx.keyStands(); err != nil {
		return err
	}
	sealed, err := tx.s.vault.seal(pipeline, target, c)
	if err != nil {
		return err
	}
	now := stamp(tx.now)
	// The first revision is none that a log-in which was forgotten can have had: a step may still have that one.
	_, err = tx.exec(`insert into credential (pipeline, target, uid, sealed, expires_at, created_at, changed_at, rev) values (?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (pipeline, target) do update set uid = excluded.uid, sealed = excluded.sealed, expires_at = excluded.expires_at, rev = credential.rev + 1,
			busy_until = null, dead_at = null, reason = '', changed_at = excluded.changed_at`,
		pipeline, target, uid, sealed, text(c.Expires), now, now, tx.now.UnixMicro())
	if err != nil {
		return err
	}
	// Its turn comes with the next run, also when it was not found before; what came of the last one was the old log-in's.
	_, err = tx.exec(`update target set tried_at = null, note = '', state = 'ok', misses = 0 where pipeline = ? and target = ?`, pipeline, target)
	return err
}

// LoggedIn lists the targets with a credential that somebody may mean by a text: the first name, the present one, or the upstream's
// own id.
func (s *Store) LoggedIn(ctx context.Context, pipeline, user string) ([]string, error) {
	ts, err := list(ctx, s.read, `select c.target from credential c left join target t on t.pipeline = c.pipeline and t.target = c.target
		where c.pipeline = ? and (c.target = ? or t.name = ? or c.uid = ?) order by c.target`, []any{pipeline, user, user, user}, scanText)
	return ts, s.explain(err)
}

// LogOut forgets a target's credential; what was collected stays. It returns ErrNotFound when there is none.
func (tx *Tx) LogOut(pipeline, target string) error {
	n, err := tx.exec(`delete from credential where pipeline = ? and target = ?`, pipeline, target)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// RenewLogin stores the credential that came in place of l's. It reports false, and nothing happens, when l was replaced meanwhile:
// the newer one stands. It is sealed with the key that the state has now.
func (tx *Tx) RenewLogin(l Login, c adapters.Credential) (bool, error) {
	v, err := tx.sealer()
	if err != nil {
		return false, err
	}
	sealed, err := v.seal(l.Pipeline, l.Target, c)
	if err != nil {
		return false, err
	}
	n, err := tx.exec(`update credential set sealed = ?, expires_at = ?, rev = rev + 1, busy_until = null, changed_at = ? where pipeline = ? and target = ? and rev = ?`,
		sealed, text(c.Expires), stamp(tx.now), l.Pipeline, l.Target, l.Rev)
	return n > 0, err
}

// BuryLogin notes that a credential is not accepted any more. It reports false when it was replaced meanwhile.
func (tx *Tx) BuryLogin(l Login, why string) (bool, error) {
	n, err := tx.exec(`update credential set dead_at = coalesce(dead_at, ?), reason = ?, busy_until = null where pipeline = ? and target = ? and rev = ?`, stamp(tx.now), why, l.Pipeline, l.Target, l.Rev)
	return n > 0, err
}

// ClaimLogin lets one step at a time renew a credential, on whatever machine it runs: true is the right to do it until the given
// moment. It returns ErrStale when the job is somebody else's by now.
func (s *Store) ClaimLogin(ctx context.Context, j Job, l Login, until time.Time) (mine bool, err error) {
	err = s.Note(ctx, j, func(tx *Tx) error {
		n, err := tx.exec(`update credential set busy_until = ? where pipeline = ? and target = ? and rev = ? and dead_at is null and (busy_until is null or busy_until <= ?)`,
			stamp(until), l.Pipeline, l.Target, l.Rev, stamp(tx.now))
		mine = n > 0
		return err
	})
	return mine && err == nil, err
}

// ReleaseLogin gives a claim back that came to nothing.
func (tx *Tx) ReleaseLogin(l Login) error {
	_, err := tx.exec(`update credential set busy_until = null where pipeline = ? and target = ? and rev = ?`, l.Pipeline, l.Target, l.Rev)
	return err
}
