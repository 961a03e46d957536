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
type vault struct{ aead cipher.AEAD }

// errSealed says that something was sealed with another key, or altered.
var errSealed = errors.New("it was encrypted with another key")

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
	return &vault{aead}, nil
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
		return nil, errSealed
	}
	text, err := v.aead.Open(nil, sealed[1:1+n], sealed[1+n:], bound(pipeline, target))
	if err != nil {
		return nil, errSealed
	}
	var values map[string]string
	return values, json.Unmarshal(text, &values)
}

// SetKey gives the store the key that credentials are encrypted with, before anything starts. What was encrypted with old,
// when that is given, is encrypted anew. A key that does not open what is stored is refused, and nothing is changed.
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
	var anew []row
	for _, x := range all {
		if _, err := v.open(x.pipeline, x.target, x.sealed); err == nil {
			continue
		}
		values, err := map[string]string(nil), errSealed
		if before != nil {
			values, err = before.open(x.pipeline, x.target, x.sealed)
		}
		if err != nil {
			return &FileError{Path: s.path, Text: fmt.Sprintf("holds the log-in of %s in %s, which SUMBI_KEY does not open: set the key that it was stored with, or keep the new one and set the old one as SUMBI_KEY_OLD; nothing was changed", x.target, x.pipeline)}
		}
		if x.sealed, err = v.seal(x.pipeline, x.target, adapters.Credential{Values: values}); err != nil {
			return err
		}
		anew = append(anew, x)
	}
	s.vault = v
	if len(anew) == 0 {
		return nil
	}
	return s.Tx(ctx, func(tx *Tx) error {
		for _, x := range anew {
			if _, err := tx.exec(`update credential set sealed = ? where pipeline = ? and target = ? and rev = ?`, x.sealed, x.pipeline, x.target, x.rev); err != nil {
				return err
			}
		}
		return nil
	})
}
