package mongo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"sumbi/adapters"
)

// Refused says which documents will never be accepted as they are.
type Refused struct {
	keys []string
	why  string // of the first
}

// Keys returns the keys of the refused records.
func (r *Refused) Keys() []string { return slices.Clone(r.keys) }

func (r *Refused) Error() string {
	if len(r.keys) == 1 {
		return fmt.Sprintf("document %s is refused: %s", r.keys[0], r.why)
	}
	return fmt.Sprintf("%d documents are refused, the first is %s: %s", len(r.keys), r.keys[0], r.why)
}

func (r *Refused) add(more *Refused) {
	if more == nil || len(more.keys) == 0 {
		return
	}
	if len(r.keys) == 0 {
		r.why = more.why
	}
	r.keys = append(r.keys, more.keys...)
}

// Codes of the server, by what they mean for the engine.
func inTheDocument(code int) bool {
	switch code {
	case 2, 9, 14, // bad value, cannot be parsed, wrong type
		22,         // invalid BSON
		52, 56, 57, // field names
		66,           // immutable field
		121,          // the collection's own validation
		10334, 17419, // too large, too large after the update
		11000, 11001, // a unique index of the user's own
		16755, 17280: // no such geometry, index key too long
		return true
	}
	return false
}

func inTheLogin(code int) bool {
	switch code {
	case 13, 18, 334, 8000: // not authorised, authentication failed, no such mechanism, Atlas' own word for either
		return true
	}
	return false
}

// refusedOf returns the documents that a bulk's error is about, or nil when the error is about anything else too.
func refusedOf(err error, b bulk) *Refused {
	e, ok := errors.AsType[mongo.BulkWriteException](err)
	if !ok || e.WriteConcernError != nil || len(e.WriteErrors) == 0 {
		return nil
	}
	out := &Refused{}
	for _, we := range e.WriteErrors {
		i := slices.Index(b.models, we.Request)
		if !inTheDocument(we.Code) || i < 0 {
			return nil
		}
		out.add(&Refused{keys: []string{b.keys[i]}, why: short(we.Message)})
	}
	return out
}

// classify makes an *adapters.Error of what the driver says; the text holds no password.
func (s *Sink) classify(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", upstream, ctx.Err())
	}
	if cut := driver.RetryablePoolError(nil); errors.As(err, &cut) {
		if cause := s.cleared.Load(); cause != nil {
			err = *cause
		}
	}
	codes := mongo.ErrorCodes(err)
	switch {
	case slices.Contains(codes, 13):
		return needsHuman(adapters.ReasonKey, fmt.Sprintf("the user of MONGODB_URI may not write to database %q: give it the role readWrite there (%s)", s.o.Database, s.scrub(err)))
	case slices.ContainsFunc(codes, inTheLogin):
		return needsHuman(adapters.ReasonKey, "the server does not accept the user and password in MONGODB_URI: correct them, and authSource if the user belongs to another database ("+s.scrub(err)+")")
	case errors.Is(err, mongo.ErrClientDisconnected):
		return &adapters.Error{Kind: adapters.Temporary, Upstream: upstream, Err: errors.New("the sink is closed")}
	case unreachable(err):
		return &adapters.Error{
			Kind: adapters.Temporary, Reason: adapters.ReasonUnreachable, Upstream: upstream,
			Err: fmt.Errorf("no server answers at %s: %s", hosts(s.o.URI.Reveal()), s.scrub(innermost(err))),
		}
	}
	return &adapters.Error{Kind: adapters.Temporary, Upstream: upstream, Err: errors.New(s.scrub(err))}
}

// unreachable tells whether the network or a server that is away is the reason.
func unreachable(err error) bool {
	if err == nil {
		return false
	}
	if _, ok := errors.AsType[topology.ServerSelectionError](err); ok {
		return true
	}
	if _, ok := errors.AsType[topology.ConnectionError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return mongo.IsNetworkError(err) || mongo.IsTimeout(err)
}

// innermost is what the driver saw last, for a sentence that a person can read.
func innermost(err error) error {
	if e, ok := errors.AsType[topology.ServerSelectionError](err); ok {
		for _, server := range e.Desc.Servers {
			if server.LastError != nil {
				err = server.LastError
			}
		}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

func needsHuman(reason, sentence string) error {
	return &adapters.Error{Kind: adapters.NeedsHuman, Reason: reason, Upstream: upstream, Err: errors.New(sentence)}
}

// checkURI refuses an address that the driver cannot read. It looks up nothing.
func checkURI(uri string) error {
	plain, srv := strings.CutPrefix(uri, "mongodb+srv://")
	if srv {
		if strings.Contains(plain, "srvMaxHosts") || strings.Contains(plain, "srvServiceName") {
			return nil // valid only with a look-up
		}
		uri = "mongodb://" + plain
	}
	if err := options.Client().ApplyURI(uri).Validate(); err != nil {
		// The driver's own words can quote any part of the address, so they are left out.
		return needsHuman(adapters.ReasonPath, "MONGODB_URI is not an address that MongoDB understands: it must look like mongodb://user:password@host:27017/ or "+
			"mongodb+srv://user:password@host/, with the characters : / ? # [ ] @ % of a password written as %3A %2F %3F %23 %5B %5D %40 %25")
	}
	return nil
}

// hosts returns the part of the address that says where the servers are.
func hosts(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	rest, _, _ = strings.Cut(rest, "?")
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	rest, _, _ = strings.Cut(rest, "/")
	return rest
}

// scrub returns the text of err on one line of bearable length, without the address and its password.
func (s *Sink) scrub(err error) string {
	uri := s.o.URI.Reveal()
	text := strings.ReplaceAll(err.Error(), uri, "[secret]")
	_, rest, _ := strings.Cut(uri, "://")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		_, password, _ := strings.Cut(rest[:i], ":")
		forms := []string{password}
		if plain, err := url.PathUnescape(password); err == nil {
			forms = append(forms, plain)
		}
		for _, form := range forms {
			if form != "" {
				text = strings.ReplaceAll(text, form, "[secret]")
			}
		}
	}
	return short(text)
}

func short(s string) string {
	const most = 400
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
