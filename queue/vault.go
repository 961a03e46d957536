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

// SetKey gives the store the key that credentials are encrypted with, before anything starts. What was encrypted with old,
// when that is given, is encrypted anew. A key that is not the state's is refused, and nothing is changed; a single log-in that it does not open is dead.
func (s *Store) SetKey(ctx context.Context, key, old []byte) error {
	v, err := newVault(key)
	if err != nil {
		return err
	}
	var before *vault
	if old != nil {
		if before, err = newVault(old); err != nil {
			return err
		}
	}
	// What is sealed is of one key for all machines: the mark in meta tells which.
	type row struct {
		pipeline, target string
		sealed           []byte
		rev              int64
	}
	all, err := list(ctx, s.read, `select pipeline, target, sealed, rev from credential order by pipeline, target`, nil, func(r *sql.Rows) (x row, err error) {
		return x, r.Scan(&x.pipeline, &x.target, &x.sealed, &x.rev)
	})
	if err != nil {
		return s.explain(err)
	}
	canary, err := s.Meta(ctx, metaKey)
	if err != nil {
		return s.explain(err)
	}
	v.older = before
	values, old1, err := v.read("", "", unhex(canary))
	known := err == nil && values != nil // the key is the one of this state
	var anew, closed []row
	for _, x := range all {
		values, aged, err := v.read(x.pipeline, x.target, x.sealed)
		switch {
		case err != nil:
			closed = append(closed, x)
			continue
		case canary == "":
			known = true
		}
		if !aged {
			continue
		}
		if x.sealed, err = v.seal(x.pipeline, x.target, adapters.Credential{Values: values}); err != nil {
			return err
		}
		anew = append(anew, x)
	}
	if len(all) > 0 && !known {
		return &FileError{Path: s.path, Text: fmt.Sprintf("holds the log-in of %s in %s, which SUMBI_KEY does not open: set the key that it was stored with, or keep the new one and set the old one as SUMBI_KEY_OLD; nothing was changed", all[0].target, all[0].pipeline)}
	}
	mark, err := v.seal("", "", adapters.Credential{Values: map[string]string{}})
	if err != nil {
		return err
	}
	s.vault = v
	if known && !old1 && canary != "" && len(anew)+len(closed) == 0 {
		return nil
	}
	return s.Tx(ctx, func(tx *Tx) error {
		if err := tx.SetMeta(metaKey, hex.EncodeToString(mark)); err != nil {
			return err
		}
		for _, x := range closed {
			if _, err := tx.BuryLogin(Login{Pipeline: x.pipeline, Target: x.target, Rev: x.rev}, Closed); err != nil {
				return err
			}
		}
		for _, x := range anew {
			if _, err := tx.exec(`update credential set sealed = ?, rev = rev + 1 where pipeline = ? and target = ? and rev = ?`, x.sealed, x.pipeline, x.target, x.rev); err != nil {
				return err
			}
		}
		return nil
	})
}
