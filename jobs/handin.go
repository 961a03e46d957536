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
		// A user may go by another name than when he first came, also after a log-out; what was counted stays his.
		if target, err = tx.TargetOf(p.Name, id); errors.Is(err, queue.ErrNotFound) {
			target, err = name, nil
		}
		if err != nil {
			return err
		}
		if want != "" && want != target && want != name && want != id {
			return fmt.Errorf("this is the log-in of %s, not of %s; nothing was stored", name, want)
		}
		known, err := tx.Target(p.Name, target)
		if err != nil {
			return err
		}
		if err := e.othersOf(tx, p, known, id); err != nil {
			return err
		}
		if len(p.Only) > 0 && !slices.Contains(p.Only, target) && !slices.Contains(p.Only, name) {
			return fmt.Errorf("%s is not among the users that the configuration names for %s; nothing was stored", name, p.Name)
		}
		if err := tx.HandIn(p.Name, target, id, accepted); errors.Is(err, queue.ErrKeyChanged) {
			return fmt.Errorf("%w; nothing was stored", err)
		} else if err != nil {
			return err
		}
		if name == target {
			name = ""
		}
		if name != known.Name {
			if err := tx.NameTarget(p.Name, target, id, name); err != nil {
				return err
			}
		}
		return p.memberChanged(tx, target)
	})
	return target, err
}

// othersOf refuses the log-in of the upstream's user id for the target known when that target is somebody else's, and when another
// pipeline has the user or the name: a record belongs to one pipeline, a document has one name, and a log-in is renewed by one.
func (e *Engine) othersOf(tx *queue.Tx, p *Pipeline, known queue.Target, id string) error {
	if known.ID != "" && known.ID != id {
		return fmt.Errorf("what is stored under the name %s is another user's, who had it before (%s, now %s), and stays that user's: change the name at %s, or keep this user in a state and a database of its own; nothing was stored",
			known.Target, known.ID, id, p.Lane)
	}
	l, err := tx.Login(p.Name, known.Target)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	if l.UID != "" && l.UID != id {
		return fmt.Errorf("%s has the log-in of another user, who had the name before (%s, now %s): forget that one first (`sumbi logout %s %s`); nothing was stored", known.Target, l.UID, id, p.Name, known.Target)
	}
	others, err := tx.Elsewhere(p.Name, known.Target, id)
	if err != nil {
		return err
	}
	for _, o := range others {
		other, err := e.pipeline(o.Pipeline)
		switch configured := err == nil; {
		case configured && other.Lane != p.Lane, !configured && o.UID != id: // of another upstream, or perhaps of one
		case o.UID != id:
			return fmt.Errorf("pipeline %s has another user under the name %s (%s, this is %s): change the name at %s; nothing was stored", o.Pipeline, o.Target, o.UID, id, p.Lane)
		case o.LoggedIn:
			return fmt.Errorf("pipeline %s has a log-in of this user, as %s: hand this one in there, or forget that one first (`sumbi logout %s %s`); nothing was stored", o.Pipeline, o.Target, o.Pipeline, o.Target)
		default:
			return fmt.Errorf("pipeline %s keeps what was counted of this user, as %s: hand the log-in in there; nothing was stored", o.Pipeline, o.Target)
		}
	}
	return nil
}

// memberChanged tells the sinks of a target whose log-in has come or gone.
func (p *Pipeline) memberChanged(tx *queue.Tx, target string) error {
	if p.Members == "" {
		return nil
	}
	return tx.DeliverAll(p.Members, target, p.Name)
}

// LogOut forgets the log-in of a user: no call is made for him any more. What was counted stays his, and the sinks are told. Of p
// it needs the name and Members.
func LogOut(ctx context.Context, store *queue.Store, p *Pipeline, user string) error {
	return store.Tx(ctx, func(tx *queue.Tx) error {
		if err := tx.LogOut(p.Name, user); err != nil {
			return err
		}
		return p.memberChanged(tx, user)
	})
}
