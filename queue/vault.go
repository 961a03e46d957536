package queue

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"sumbi/adapters"
)

// sealing is the first byte of what is sealed: which cipher it was, should there ever be another one.
const sealing = 1

// vault encrypts credentials. What is sealed for one row cannot be opened in another.
type vault struct {
	aead  cipher.AEAD
	older *vault // opens what was sealed before the key was changed; nil: it was not
}

// metaKey is what only the key of a state opens.
const metaKey = "key"

// Closed is why a single log-in is dead that the key does not open.
const Closed = "it cannot be opened with this SUMBI_KEY"

// ErrSealed says that something was sealed with another key, or altered.
var ErrSealed = errors.New("it was encrypted with another key")

// ErrKeyChanged says that the state has another key by now than this process.
var ErrKeyChanged = errors.New("SUMBI_KEY was changed beside this process; start it again with the key that the others have")

// ReadKey reads a key of 32 bytes that is written in hexadecimal or in base64. The error does not repeat it.
func ReadKey(s adapters.Secret) ([]byte, error) {
	text := s.Reveal()
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString, base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(text); err == nil && len(b) == chacha20poly1305.KeySize {
			return b, nil
		}
	}
	return nil, errors.New("is not a key of 32 bytes in hexadecimal or base64; make one with `openssl rand -hex 32`")
}

func newVault(key []byte) (*vault, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	return &vault{aead: aead}, nil
}

// bound is what ties a sealed credential to its row.
func bound(pipeline, target string) []byte {
	return fmt.Appendf(nil, "credential %q %q", pipeline, target)
}

func (v *vault) seal(pipeline, target string, c adapters.Credential) ([]byte, error) {
	text, err := json.Marshal(c.Values)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+v.aead.NonceSize(), 1+v.aead.NonceSize()+len(text)+v.aead.Overhead())
	out[0] = sealing
	if _, err := rand.Read(out[1:]); err != nil {
		return nil, err
	}
	return v.aead.Seal(out, out[1:], text, bound(pipeline, target)), nil
}

func (v *vault) open(pipeline, target string, sealed []byte) (map[string]string, error) {
	n := v.aead.NonceSize()
	if len(sealed) < 1+n || sealed[0] != sealing {
		return nil, ErrSealed
	}
	text, err := v.aead.Open(nil, sealed[1:1+n], sealed[1+n:], bound(pipeline, target))
	if err != nil {
		return nil, ErrSealed
	}
	var values map[string]string
	return values, json.Unmarshal(text, &values)
}

// read opens with either key; aged says that it was the older one.
func (v *vault) read(pipeline, target string, sealed []byte) (values map[string]string, aged bool, err error) {
	if values, err = v.open(pipeline, target, sealed); err == nil || v.older == nil {
		return values, false, err
	}
	values, err = v.older.open(pipeline, target, sealed)
	return values, true, err
}

func unhex(s string) []byte {
	b, _ := hex.DecodeString(s) // what is damaged does not open
	return b
}

// KeyStands says whether the key is still that of the state: another process may have changed it.
func (s *Store) KeyStands(ctx context.Context) (bool, error) {
	canary, err := s.Meta(ctx, metaKey)
	if err != nil || s.vault == nil {
		return false, s.explain(err)
	}
	_, _, err = s.vault.read("", "", unhex(canary))
	return err == nil, nil
}

// lockKey keeps others from changing the key, and from handing in log-ins, until the transaction ends.
func (tx *Tx) lockKey() error {
	_, err := tx.exec(`update meta set value = value where key = ?`, metaKey)
	return err
}

// keyStands returns ErrKeyChanged when what is sealed with the key could not be opened with that of the state, and keeps it from
// being changed until the transaction ends.
func (tx *Tx) keyStands() error {
	if err := tx.lockKey(); err != nil {
		return err
	}
	canary, err := tx.Meta(metaKey)
	if err != nil {
		return err
	}
	if _, err := tx.s.vault.open("", "", unhex(canary)); err != nil {
		return ErrKeyChanged
	}
	return nil
}

// sealer is the key of the state, which may be the older one by now: what is sealed with another one nobody else could open.
func (tx *Tx) sealer() (*vault, error) {
	v := tx.s.vault
	if v == nil {
		return nil, errNoKey
	}
	canary, err := tx.Meta(metaKey)
	if err != nil {
		return nil, err
	}
	for ; v != nil; v = v.older {
		if _, err := v.open("", "", unhex(canary)); err == nil {
			return v, nil
		}
	}
	return nil, ErrKeyChanged
}

// sealedLogin is a credential as the state has it.
type sealedLogin struct {
	pipeline, target string
	sealed           []byte
	rev              int64
	dead             bool
	reason           string
}

func sealedLogins(ctx context.Context, q querier) ([]sealedLogin, error) {
	return list(ctx, q, `select pipeline, target, sealed, rev, case when dead_at is null then 0 else 1 end, reason from credential order by pipeline, target`, nil, func(r *sql.Rows) (x sealedLogin, err error) {
		return x, r.Scan(&x.pipeline, &x.target, &x.sealed, &x.rev, &x.dead, &x.reason)
	})
}

// rekeying is what a key changes in a state.
type rekeying struct {
	mark   bool          // the state's mark is not of this key
	anew   []sealedLogin // sealed with the key
	closed []sealedLogin // dead from now on: it does not open them
	opened []sealedLogin // not dead any more: it opens them again
}

// rekey reads what v, which may have an older key, makes of the log-ins of a state with the mark canary.
func (s *Store) rekey(v *vault, canary string, all []sealedLogin) (k rekeying, err error) {
	values, aged, err := v.read("", "", unhex(canary))
	known := err == nil && values != nil // the key is the one of this state
	k.mark = !known || aged
	for _, x := range all {
		values, aged, err := v.read(x.pipeline, x.target, x.sealed)
		switch {
		case err != nil && !x.dead:
			k.closed = append(k.closed, x)
			continue
		case err != nil:
			continue
		case canary == "":
			known = true
		}
		if x.dead && x.reason == Closed {
			k.opened = append(k.opened, x)
		}
		if !aged {
			continue
		}
		if x.sealed, err = v.seal(x.pipeline, x.target, adapters.Credential{Values: values}); err != nil {
			return k, err
		}
		k.anew = append(k.anew, x)
	}
	if len(all) > 0 && !known {
		return k, &FileError{Path: s.path, Text: fmt.Sprintf("holds the log-in of %s in %s, which SUMBI_KEY does not open: set the key that it was stored with, or keep the new one and set the old one as SUMBI_KEY_OLD; nothing was changed", all[0].target, all[0].pipeline)}
	}
	return k, nil
}

// SetKey gives the store the key that credentials are encrypted with, before anything starts. What was encrypted with old,
// when that is given, is encrypted anew. A key that is not the state's is refused, and nothing is changed; a single log-in that it
// does not open is dead until one does.
func (s *Store) SetKey(ctx context.Context, key, old []byte) error {
	v, err := newVault(key)
	if err != nil {
		return err
	}
	if old != nil {
		if v.older, err = newVault(old); err != nil {
			return err
		}
	}
	// What is sealed is of one key for all machines: the mark in meta tells which.
	all, err := sealedLogins(ctx, s.read)
	if err != nil {
		return s.explain(err)
	}
	canary, err := s.Meta(ctx, metaKey)
	if err != nil {
		return s.explain(err)
	}
	k, err := s.rekey(v, canary, all)
	if err != nil {
		return err
	}
	if !k.mark && len(k.anew)+len(k.closed)+len(k.opened) == 0 {
		s.vault = v
		return nil
	}
	mark, err := v.seal("", "", adapters.Credential{Values: map[string]string{}})
	if err != nil {
		return err
	}
	err = s.Tx(ctx, func(tx *Tx) error {
		// Others may have changed the key, or handed in log-ins, since the first look.
		if err := tx.lockKey(); err != nil {
			return err
		}
		canary, err := tx.Meta(metaKey)
		if err != nil {
			return err
		}
		all, err := sealedLogins(tx.ctx, tx.tx)
		if err != nil {
			return err
		}
		k, err := s.rekey(v, canary, all)
		if err != nil {
			return err
		}
		if err := tx.SetMeta(metaKey, hex.EncodeToString(mark)); err != nil {
			return err
		}
		return tx.rekey(k)
	})
	if err == nil {
		s.vault = v
	}
	return err
}

// rekey writes what a key changes.
func (tx *Tx) rekey(k rekeying) error {
	for _, x := range k.closed {
		if _, err := tx.BuryLogin(Login{Pipeline: x.pipeline, Target: x.target, Rev: x.rev}, Closed); err != nil {
			return err
		}
	}
	for _, x := range k.opened {
		if _, err := tx.exec(`update credential set dead_at = null, reason = '' where pipeline = ? and target = ? and rev = ?`, x.pipeline, x.target, x.rev); err != nil {
			return err
		}
	}
	for _, x := range k.anew {
		if _, err := tx.exec(`update credential set sealed = ?, rev = rev + 1 where pipeline = ? and target = ? and rev = ?`, x.sealed, x.pipeline, x.target, x.rev); err != nil {
			return err
		}
	}
	return nil
}
