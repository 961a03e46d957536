package jobs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sumbi/adapters"
	"sumbi/queue"
)

// LogIn is an Authenticator whose credentials people hand in as a text.
type LogIn interface {
	adapters.Authenticator
	// ReadCredential reads what a person hands in. The error repeats nothing of it.
	ReadCredential(text string) (adapters.Credential, error)
	// Identity returns who the upstream said that a credential belongs to which Authenticate has returned.
	Identity(c adapters.Credential) (id, name string)
}

// userName is what the name or id of a user looks like.
var userName = regexp.MustCompile(`^[\p{L}\p{N}._-]{1,64}$`)

// HandIn takes a log-in that a person hands in for a pipeline, and returns whose it is. It is believed only after the upstream
// itself has accepted it, and it is stored for whom the upstream names: what its texts say of themselves counts for nothing. want
// is whose it is to be; "" anybody's.
func (e *Engine) HandIn(ctx context.Context, p *Pipeline, want, text string) (target string, err error) {
	source, ok := p.Source.(LogIn)
	if !ok {
		return "", fmt.Errorf("nobody logs in to pipeline %s", p.Name)
	}
	// What does not look like a name may be what is secret, in the wrong place: it is not repeated.
	if want = strings.TrimPrefix(want, "@"); want != "" && !userName.MatchString(want) {
		return "", errors.New("what is given as the user is not a user's name (at most 64 letters, digits, _ and -); nothing was stored")
	}
	have, err := source.ReadCredential(text)
	if err != nil {
		return "", err
	}
	accepted, err := source.Authenticate(ctx, "", have)
	if err != nil {
		return "", err
	}
	id, name := source.Identity(accepted)
	if id == "" || name == "" {
		return "", errors.New("the upstream does not say whose log-in this is")
	}
	err = e.Store.Tx(ctx, func(tx *queue.Tx) error {
		// A user may go by another name than when he first came; what was counted stays his.
		if target, err = tx.LoginOf(p.Name, id); errors.Is(err, queue.ErrNotFound) {
			target, err = name, nil
		}
		if err != nil {
			return err
		}
		if want != "" && want != target && want != name && want != id {
			return fmt.Errorf("this is the log-in of %s, not of %s; nothing was stored", name, want)
		}
		if l, err := tx.Login(p.Name, target); err == nil && l.UID != "" && l.UID != id {
			return fmt.Errorf("%s was another user of the same name (%s, now %s); nothing was stored", target, l.UID, id)
		} else if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		if len(p.Only) > 0 && !slices.Contains(p.Only, target) {
			return fmt.Errorf("%s is not among the users that the configuration names for %s; nothing was stored", target, p.Name)
		}
		if err := tx.HandIn(p.Name, target, id, accepted); err != nil {
			return err
		}
		return tx.DeliverAll(VelogUsers, target, p.Name)
	})
	return target, err
}

// LogOut forgets the log-in of a user: no call is made for him any more. What was counted stays, and the sinks are told.
func LogOut(ctx context.Context, store *queue.Store, pipeline, user string) error {
	return store.Tx(ctx, func(tx *queue.Tx) error {
		if err := tx.LogOut(pipeline, user); err != nil {
			return err
		}
		return tx.DeliverAll(VelogUsers, user, pipeline)
	})
}
