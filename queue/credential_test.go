package queue_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

func key(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

// secret is a credential whose values must be found nowhere.
func secret(word string, expires time.Time) adapters.Credential {
	return adapters.Credential{Values: map[string]string{"access_token": word, "refresh_token": word + "-갱신"}, Expires: expires}
}

func handIn(t testing.TB, s *queue.Store, target, uid string, c adapters.Credential) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error { return tx.HandIn("velog", target, uid, c) })
}

// renew renews a log-in and checks whether that was stored.
func renew(t testing.TB, s *queue.Store, l queue.Login, c adapters.Credential, want bool) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error {
		stored, err := tx.RenewLogin(l, c)
		if stored != want {
			t.Errorf("stored: %v, want %v", stored, want)
		}
		return err
	})
}

// counted adds what the views of log-ins and counters show.
func counted(t *testing.T, s *queue.Store) {
	t.Helper()
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	handIn(t, s, "두부", "u-2", secret("나", time.Time{}))
	within(t, s, func(tx *queue.Tx) error {
		l, err := tx.Login("velog", "두부")
		if err != nil {
			return err
		}
		if _, err := tx.BuryLogin(l, "세션이 끝났다"); err != nil {
			return err
		}
		id, err := tx.RecordID("post", "p1")
		if err != nil {
			return err
		}
		return errors.Join(tx.Snap(id, "views", day(10), 12), tx.Snap(id, "likes", day(10).Add(-time.Minute), 2), tx.Snap(id, "likes", day(10), 3), tx.CountDay(id, "views", "2025-03-10", 5))
	})
}

func TestReadKey(t *testing.T) {
	t.Parallel()
	k := key(7)
	for name, text := range map[string]string{
		"hex": hex.EncodeToString(k), "HEX": strings.ToUpper(hex.EncodeToString(k)), "base64": base64.StdEncoding.EncodeToString(k),
		"without padding": base64.RawStdEncoding.EncodeToString(k), "for addresses": base64.URLEncoding.EncodeToString(k),
	} {
		if got, err := queue.ReadKey(adapters.Secret(text)); err != nil || !bytes.Equal(got, k) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "열쇠", hex.EncodeToString(k[:31]), hex.EncodeToString(append(k, 1)), strings.Repeat("가", 32)} {
		_, err := queue.ReadKey(adapters.Secret(text))
		if err == nil {
			t.Errorf("%q is taken for a key", text)
			continue
		}
		if sentence(t, err.Error(), "32 bytes", "openssl"); text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the key")
		}
	}
}

// TestCredentialIsSealed checks that nothing of a credential can be read in the state, and that it comes back as it was.
func TestCredentialIsSealed(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.HandIn("velog", "호두", "u-1", secret("가", day(11))) }); err == nil {
		t.Error("a credential is stored without a key")
	}
	check(t, s.SetKey(t.Context(), key(1), nil))
	want := secret("eyJhbGciOiJIUzI1NiJ9", day(11))
	handIn(t, s, "호두", "u-1", want)
	l, got, err := s.Credential(t.Context(), "velog", "호두")
	check(t, err)
	same(t, "values", got.Values, want.Values)
	if !got.Expires.Equal(want.Expires) || l.UID != "u-1" || l.Rev == 0 {
		t.Errorf("got %+v, expires %v", l, got.Expires)
	}
	sealed, err := s.Rows(t.Context(), sealedText(s))
	check(t, err)
	if len(sealed) != 1 || strings.Contains(strings.ToLower(sealed[0]), hex.EncodeToString([]byte("eyJ"))) {
		t.Errorf("sealed: %q", sealed)
	}
	if _, _, err := s.Credential(t.Context(), "velog", "두부"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
	// What was sealed for one row cannot be used in another.
	handIn(t, s, "두부", "u-2", secret("나", day(11)))
	check(t, s.Exec(t.Context(), `update credential set sealed = (select c.sealed from credential c where c.target = '호두') where target = '두부'`))
	if _, c, err := s.Credential(t.Context(), "velog", "두부"); err == nil {
		t.Errorf("the credential of another target is taken: %v", c.Values)
	}
}

// sealedText is what is stored of credentials, in hexadecimal.
func sealedText(s *queue.Store) string {
	if queue.IsPostgres(s.Where()) {
		return `select encode(sealed, 'hex') from credential`
	}
	return `select hex(sealed) from credential`
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	before, err := s.Rows(t.Context(), sealedText(s))
	check(t, err)
	s = again(t, s)
	for name, old := range map[string][]byte{"no old one": nil, "a wrong old one": key(3)} {
		err := s.SetKey(t.Context(), key(2), old)
		if !queue.Fatal(err) {
			t.Fatalf("%s: got %v", name, err)
		}
		sentence(t, err.Error(), "호두", "SUMBI_KEY", "nothing was changed")
	}
	rows(t, s, sealedText(s), before...)
	check(t, s.SetKey(t.Context(), key(1), nil))
	_, _, err = s.Credential(t.Context(), "velog", "호두")
	check(t, err)

	// A new key beside the old one.
	check(t, s.SetKey(t.Context(), key(2), key(1)))
	s = again(t, s)
	check(t, s.SetKey(t.Context(), key(2), nil))
	_, c, err := s.Credential(t.Context(), "velog", "호두")
	check(t, err)
	same(t, "values", c.Values, secret("가", day(11)).Values)
}

// TestRenewIsOfWhatItBeganWith checks that neither a late renewal nor a late refusal touches a newer credential.
func TestRenewIsOfWhatItBeganWith(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	old, _, err := s.Credential(t.Context(), "velog", "호두")
	check(t, err)
	renew(t, s, old, secret("나", day(12)), true)
	renew(t, s, old, secret("다", day(13)), false)
	within(t, s, func(tx *queue.Tx) error {
		dead, err := tx.BuryLogin(old, "늦었다")
		if dead {
			t.Error("a late refusal buries the new one")
		}
		return err
	})
	l, c, err := s.Credential(t.Context(), "velog", "호두")
	check(t, err)
	if c.Values["access_token"] != "나" || l.Rev != old.Rev+1 || !l.Dead.IsZero() {
		t.Errorf("got %+v with %v", l, c.Values["access_token"])
	}
	within(t, s, func(tx *queue.Tx) error {
		if dead, err := tx.BuryLogin(l, "끝났다"); err != nil || !dead {
			t.Errorf("not buried: %v", err)
		}
		return nil
	})
	dead, err := s.DeadLogins(t.Context())
	check(t, err)
	if len(dead) != 1 || dead[0].Target != "호두" || dead[0].Dead.IsZero() || dead[0].Reason != "끝났다" {
		t.Errorf("dead: %+v", dead)
	}
	handIn(t, s, "호두", "u-1", secret("라", day(14)))
	dead, err = s.DeadLogins(t.Context())
	check(t, err)
	if len(dead) != 0 {
		t.Errorf("a new log-in is dead: %+v", dead)
	}
}

// TestClaimIsOnes checks that of many steps at the same time one may renew.
func TestClaimIsOnes(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	l, _, err := s.Credential(t.Context(), "velog", "호두")
	check(t, err)
	const n = 8
	var jobs []queue.Job
	for i := range n {
		add(t, s, pageJob(fmt.Sprint("쪽 ", i)))
		jobs = append(jobs, take(t, s))
	}
	var mine atomic.Int32
	var wg sync.WaitGroup
	for _, j := range jobs {
		wg.Go(func() {
			if ok, err := s.ClaimLogin(t.Context(), j, l, s.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			} else if ok {
				mine.Add(1)
			}
		})
	}
	wg.Wait()
	if mine.Load() != 1 {
		t.Errorf("%d may renew at the same time", mine.Load())
	}
	claim := func(until time.Time) bool {
		ok, err := s.ClaimLogin(t.Context(), jobs[0], l, until)
		check(t, err)
		return ok
	}
	within(t, s, func(tx *queue.Tx) error { return tx.ReleaseLogin(l) })
	if !claim(s.Now().Add(-time.Second)) {
		t.Error("what was given back cannot be had")
	}
	if !claim(s.Now().Add(time.Minute)) {
		t.Error("a claim of a process that is gone holds for ever")
	}
	renew(t, s, l, secret("나", day(12)), true)
	if claim(s.Now().Add(time.Minute)) {
		t.Error("what was renewed can be renewed again")
	}
}

// TestKeyOfManyMachines changes the key beside a process, and damages one log-in.
func TestKeyOfManyMachines(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	if err := again(t, s).SetKey(t.Context(), key(2), nil); err != nil {
		t.Fatalf("another key while nothing is stored: %v", err)
	}
}

// TestOneClosedLogin checks that a log-in which the key does not open is dead, and nobody else's is.
func TestOneClosedLogin(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	handIn(t, s, "두부", "u-2", secret("나", day(11)))
	check(t, s.Exec(t.Context(), `update credential set sealed = (select c.sealed from credential c where c.target = '호두') where target = '두부'`))
	s = again(t, s)
	check(t, s.SetKey(t.Context(), key(1), nil))
	dead, err := s.DeadLogins(t.Context())
	check(t, err)
	if len(dead) != 1 || dead[0].Target != "두부" || dead[0].Reason != queue.Closed {
		t.Errorf("dead: %+v", dead)
	}
	// A new key opens what the old one has sealed, and what is sealed anew is another revision.
	before, err := s.Login(t.Context(), "velog", "호두")
	check(t, err)
	check(t, s.SetKey(t.Context(), key(2), key(1)))
	l, c, err := s.Credential(t.Context(), "velog", "호두")
	check(t, err)
	if l.Rev != before.Rev+1 || c.Values["access_token"] != "가" {
		t.Errorf("got %+v", l)
	}
	if err := s.SetKey(t.Context(), key(1), nil); !queue.Fatal(err) {
		t.Errorf("the former key: %v", err)
	}
	stands, err := s.KeyStands(t.Context())
	check(t, err)
	if !stands {
		t.Error("the key does not stand")
	}
}

// TestLogOut hands a log-in in after another one was forgotten: a step that still has the old one changes nothing of it.
func TestLogOut(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), bytes.Repeat([]byte{1}, 32), nil))
	hand := func(secret string) (l queue.Login) {
		within(t, s, func(tx *queue.Tx) error {
			return tx.HandIn("벨로그", "두부", "u-1", adapters.Credential{Values: map[string]string{"토큰": secret}})
		})
		l, err := s.Login(t.Context(), "벨로그", "두부")
		check(t, err)
		return l
	}
	old := hand("옛것")
	within(t, s, func(tx *queue.Tx) error { return tx.LogOut("벨로그", "두부") })
	within(t, s, func(tx *queue.Tx) error {
		if err := tx.LogOut("벨로그", "두부"); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("forgotten twice: %v", err)
		}
		return nil
	})
	hand("새것")
	within(t, s, func(tx *queue.Tx) error {
		renewed, err := tx.RenewLogin(old, adapters.Credential{Values: map[string]string{"토큰": "옛것에서"}})
		buried, err2 := tx.BuryLogin(old, "끝났다")
		if renewed || buried {
			t.Errorf("the new log-in was renewed %v, buried %v", renewed, buried)
		}
		return errors.Join(err, err2)
	})
	_, c, err := s.Credential(t.Context(), "벨로그", "두부")
	check(t, err)
	same(t, "the log-in", c.Values["토큰"], "새것")
}

// TestHandInBesideANewKey hands a log-in in at a process beside which the key was changed: what it would seal nobody could open.
func TestHandInBesideANewKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	next := open(t, s.Where(), queue.Guest)
	check(t, next.SetKey(t.Context(), key(2), key(1)))
	for _, target := range []string{"호두", "두부"} {
		err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.HandIn("velog", target, "u-1", secret("나", day(11))) })
		if !errors.Is(err, queue.ErrKeyChanged) {
			t.Fatalf("%s: %v", target, err)
		}
		sentence(t, err.Error(), "SUMBI_KEY", "start it again")
	}
	handIn(t, next, "두부", "u-2", secret("다", day(11)))
	rows(t, s, `select target, uid from credential order by target`, "두부|u-2", "호두|u-1")
	check(t, s.SetKey(t.Context(), key(2), nil))
	handIn(t, s, "호두", "u-1", secret("라", day(11)))
	_, c, err := next.Credential(t.Context(), "velog", "호두")
	check(t, err)
	same(t, "values", c.Values, secret("라", day(11)).Values)
}

// TestHandInBesideTheFormerKey sets the key back beside a process that knows both: what it would seal with the new one the others
// could not open.
func TestHandInBesideTheFormerKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(2), key(1)))
	check(t, open(t, s.Where(), queue.Guest).SetKey(t.Context(), key(1), nil))
	err := s.Tx(t.Context(), func(tx *queue.Tx) error { return tx.HandIn("velog", "두부", "u-1", secret("나", day(11))) })
	if !errors.Is(err, queue.ErrKeyChanged) {
		t.Errorf("got %v", err)
	}
}

// TestClosedLoginOpensAgain takes the old key away too early, and gives it back: only what was dead for want of it lives again.
func TestClosedLoginOpensAgain(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	for i, target := range []string{"두부", "만두", "호두"} {
		handIn(t, s, target, fmt.Sprint("u-", i), secret(target, day(11)))
	}
	within(t, s, func(tx *queue.Tx) error {
		l, err := tx.Login("velog", "만두")
		if err == nil {
			_, err = tx.BuryLogin(l, "세션이 끝났다")
		}
		return err
	})
	old, err := s.Rows(t.Context(), sealedText(s)+` where target <> '호두' order by target`)
	check(t, err)
	check(t, s.SetKey(t.Context(), key(2), key(1)))
	for i, target := range []string{"두부", "만두"} {
		check(t, s.Exec(t.Context(), `update credential set sealed = x'`+strings.ToLower(old[i])+`' where target = '`+target+`'`))
	}
	const dead = `select account, reason from v_credentials where state = 'dead' order by account`
	check(t, s.SetKey(t.Context(), key(2), nil))
	rows(t, s, dead, "두부|"+queue.Closed, "만두|세션이 끝났다")
	check(t, s.SetKey(t.Context(), key(2), key(1)))
	rows(t, s, dead, "만두|세션이 끝났다")
	check(t, s.SetKey(t.Context(), key(2), nil))
	rows(t, s, dead, "만두|세션이 끝났다")
	l, c, err := s.Credential(t.Context(), "velog", "두부")
	check(t, err)
	same(t, "values", c.Values, secret("두부", day(11)).Values)
	same(t, "reason", l.Reason, "")
}

// TestTargetOf checks whose target a user of the upstream is, with a log-in and without.
func TestTargetOf(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(
			tx.NameTarget("velog", "옛호두", "u-1", ""), tx.NameTarget("velog", "두부", "u-2", "새두부"), tx.NameTarget("velog", "빈집", "", ""),
			tx.NameTarget("velog", "만두", "u-3", ""), tx.NameTarget("velog", "왕만두", "u-3", ""), tx.TryTarget("velog", "왕만두"),
			tx.NameTarget("다른 벨로그", "국밥", "u-4", ""),
		)
	})
	for uid, want := range map[string]string{"u-1": "호두", "u-2": "두부", "u-3": "왕만두", "u-4": "", "u-5": ""} {
		within(t, s, func(tx *queue.Tx) error {
			got, err := tx.TargetOf("velog", uid)
			if got != want || (want == "") != errors.Is(err, queue.ErrNotFound) {
				t.Errorf("%s: %q, %v; want %q", uid, got, err, want)
			}
			return nil
		})
	}
	names, err := s.Renamed(t.Context(), "velog")
	check(t, err)
	same(t, "renamed", names, map[string]string{"두부": "새두부"})
}

// TestRenewBesideTheFormerKey sets the key back beside a process that knows both and goes on: what it renews is opened by the key of
// the state alone.
func TestRenewBesideTheFormerKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(2), key(1)))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	other := open(t, s.Where(), queue.Guest)
	check(t, other.SetKey(t.Context(), key(1), key(2)))
	l, c, err := s.Credential(t.Context(), "velog", "호두")
	check(t, err)
	same(t, "values", c.Values, secret("가", day(11)).Values)
	renew(t, s, l, secret("나", day(12)), true)
	last := open(t, s.Where(), queue.Guest)
	check(t, last.SetKey(t.Context(), key(1), nil))
	l, c, err = last.Credential(t.Context(), "velog", "호두")
	check(t, err)
	same(t, "values", c.Values, secret("나", day(12)).Values)
	if !l.Dead.IsZero() {
		t.Errorf("dead: %s", l.Reason)
	}
}

// TestRenewUnderAnUnknownKey renews at a process whose keys are both not those of the state any more.
func TestRenewUnderAnUnknownKey(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	handIn(t, s, "호두", "u-1", secret("가", day(11)))
	check(t, open(t, s.Where(), queue.Guest).SetKey(t.Context(), key(2), key(1)))
	l, err := s.Login(t.Context(), "velog", "호두")
	check(t, err)
	err = s.Tx(t.Context(), func(tx *queue.Tx) error {
		_, err := tx.RenewLogin(l, secret("나", day(12)))
		return err
	})
	if !errors.Is(err, queue.ErrKeyChanged) {
		t.Errorf("got %v", err)
	}
}

// TestLoggedIn wants users by their first name, the present one, and their id.
func TestLoggedIn(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	check(t, s.SetKey(t.Context(), key(1), nil))
	for uid, target := range map[string]string{"u-1": "두부", "u-2": "호두", "u-3": "국밥"} {
		handIn(t, s, target, uid, secret(target, day(11)))
	}
	within(t, s, func(tx *queue.Tx) error {
		return errors.Join(tx.NameTarget("velog", "두부", "u-1", "호두"), tx.NameTarget("velog", "호두", "u-2", "땅콩"), tx.NameTarget("velog", "만두", "u-4", "왕만두"))
	})
	for user, want := range map[string][]string{"두부": {"두부"}, "호두": {"두부", "호두"}, "땅콩": {"호두"}, "u-1": {"두부"}, "국밥": {"국밥"}, "왕만두": nil, "": nil} {
		got, err := s.LoggedIn(t.Context(), "velog", user)
		check(t, err)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", user, got, want)
		}
	}
}
