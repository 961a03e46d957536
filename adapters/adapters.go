// Package adapters is the vocabulary that every upstream and the rest of sumbi share.
// It imports nothing of sumbi; an upstream's own folder lies below it.
package adapters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// A Source fetches one page of a list. The engine calls Fetch once per step and never twice at the same time for one
// list of one target. Fetch neither retries nor remembers: what it returns is committed, and an *Error says what next. A Page
// that comes with an error holds nothing but a renewed Credential, which is stored all the same.
type Source interface {
	Fetch(ctx context.Context, q Query) (Page, error)
}

// A Sink writes records somewhere else. The engine calls Write from one goroutine per sink, at most 500 records at a
// time, and none after that with which their data come to 8 MB. Write upserts by Stream and Key, deletes a record whose Data
// is nil, and must leave the same result when it sees a batch a second time. An error means that nothing is assumed written: the
// whole batch is offered again.
type Sink interface {
	Write(ctx context.Context, batch string, recs []Record) error
}

// An Authenticator is a Source whose targets log in. Authenticate proves to whom have belongs and renews it when it is due. The
// engine calls it once at a time for a target. With an Error of kind NeedsHuman the credential returned is stored too, unless it
// is empty.
type Authenticator interface {
	Authenticate(ctx context.Context, target string, have Credential) (Credential, error)
}

// Cursor is the upstream's own mark of a page, opaque to everybody else. The empty cursor asks for the first page.
type Cursor string

// Query asks for one page of one list of one target.
type Query struct {
	List       string // what the upstream calls it here: posts, reels, orders
	Target     string // account, seller, artist
	ID         string // the upstream's own id of the target, when a page has told it; "" unknown
	ByID       bool   // the target no longer goes by its name: ask for ID
	Of         string // key of the parent record, if the list belongs to one
	Cursor     Cursor
	Since      time.Time // records before it are not needed; an upstream may ignore it
	Credential Credential

	// Still is asked before each call after the first: its error says why the credential is not to be used any more. nil: it is.
	Still func(context.Context) error
}

// Page is one answer of a Source.
type Page struct {
	Records    []Record
	Next       Cursor      // "" when the upstream has no more
	Newest     time.Time   // newest record that is not pinned; zero when there is none
	Total      int         // the upstream's own count of the list; 0 is unknown
	ID         string      // the upstream's own id of the target, which outlives its names; "" unknown
	Name       string      // what the target goes by now: the target itself, unless it was renamed; "" unknown
	Credential *Credential // a renewed credential to be stored
}

// Record is one thing learnt from an upstream. Stream says what it is (post, order), whichever list it came from;
// Stream and Key together are unique.
type Record struct {
	Stream string
	Key    string
	Time   time.Time // when it happened, by the upstream's clock
	Owner  string    // whose it is, as a target is named; "" unknown. Several targets may show one record
	Pinned bool      // stands above its place in time
	Data   json.RawMessage
	Raw    json.RawMessage // the upstream's own item without what expires, for a later reading; nil where none is kept
}

// Credential is what a target logs in with. It prints and logs as [credential].
type Credential struct {
	Values  map[string]string
	Expires time.Time // from then on it is renewed before it is used; zero is at once
}

// String hides the values.
func (Credential) String() string { return "[credential]" }

// GoString hides the values from %#v.
func (Credential) GoString() string { return "[credential]" }

// LogValue hides the values from slog.
func (Credential) LogValue() slog.Value { return slog.StringValue("[credential]") }

// Secret is a string that prints, logs and marshals as [secret]; Reveal gives it to the one call that needs it.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// LogValue hides the secret from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Format hides the secret from every verb of fmt, also from one that is no verb of texts.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Notice is one trouble that a person is told of.
type Notice struct {
	Key      string    // the same for as long as it is the same trouble
	Event    string    // what kind of trouble: stopped, credential, run, gap, dead, silent
	Pipeline string    // "" when it is not about one
	Text     string    // one sentence
	At       time.Time // when it was seen first
}

// Candidate is one place that a search found. The texts are the finder's own, tags and entities removed.
type Candidate struct {
	ID          string  `json:"id,omitempty"` // the finder's stable id; "" where it has none
	Finder      string  `json:"finder"`
	Name        string  `json:"name"`
	Category    string  `json:"category,omitempty"`
	Address     string  `json:"address,omitempty"`     // lot address
	RoadAddress string  `json:"roadAddress,omitempty"` // road address
	Phone       string  `json:"phone,omitempty"`
	Link        string  `json:"link,omitempty"`
	Lat         float64 `json:"lat,omitempty"` // degrees, WGS84; both 0 when unknown
	Lng         float64 `json:"lng,omitempty"`
}

// Line is one request of a batch. ID is stable for the question; Body is the text put to the model, as JSON.
type Line struct {
	ID   string
	Body json.RawMessage
}

// Answer is the fate of one line: Body when Err is nil.
type Answer struct {
	ID           string
	Body         json.RawMessage
	InputTokens  int64 // billed, also when Err is set
	OutputTokens int64
	Err          *Error
}

// BatchState is where a batch stands, reduced to what the caller must decide.
type BatchState string

// The states of a batch. Ended means final: whatever files there are can be read.
const (
	BatchRunning BatchState = "running"
	BatchEnded   BatchState = "ended"
	BatchRefused BatchState = "refused" // refused as a whole while it was validated; no line ran
)

// Batch is what the upstream says of one batch.
type Batch struct {
	ID         string
	State      BatchState
	Status     string // the upstream's own word, for people
	OutputFile string // "" when there is none
	ErrorFile  string
	CreatedAt  time.Time
	Total      int // the upstream's counters; the truth is which lines have an answer
	Completed  int
	Failed     int
	Problems   []Problem // why it was refused
}

// Problem is one reason why a batch was refused.
type Problem struct {
	Code    string // token_limit_exceeded, duplicate_custom_id, …
	Message string
	Line    int   // 1-based line of the input file; 0 when it concerns the whole
	Limit   int64 // for token_limit_exceeded: the limit that the message names; 0 unknown
}

// Kind classifies an error by what the engine does next.
type Kind uint8

// The kinds. An error that carries none is Temporary.
const (
	Temporary    Kind = iota // try again with back-off; counts as an attempt
	Throttled                // try again after After; no attempt
	Unauthorized             // the credential is not accepted: renew it, else stop what uses it
	NeedsHuman               // configuration, subscription or log-in: stop the lane until a person acts
	Permanent                // never try this again
)

func (k Kind) String() string {
	switch k {
	case Throttled:
		return "throttled"
	case Unauthorized:
		return "unauthorized"
	case NeedsHuman:
		return "needs human"
	case Permanent:
		return "permanent"
	default:
		return "temporary"
	}
}

// Reasons that callers act upon. Others are for people only.
const (
	ReasonRate        = "rate"        // more calls in a moment than allowed
	ReasonQuota       = "quota"       // the day's or month's calls are used up
	ReasonGone        = "gone"        // the target does not exist (any more)
	ReasonPrivate     = "private"     // the target does not show itself
	ReasonCursor      = "cursor"      // the cursor is not accepted: begin again at the first page
	ReasonKey         = "key"         // the key is wrong
	ReasonLogin       = "login"       // the target's credential has ended or is not its own: it logs in again, nobody else is concerned
	ReasonSlow        = "slow"        // the upstream could not make this one answer in time
	ReasonFailed      = "failed"      // the upstream answers, and failed at this one thing: nobody else is concerned
	ReasonPlan        = "plan"        // the key has no subscription, or the service is not switched on for it
	ReasonPath        = "path"        // base URL or path is wrong
	ReasonUnreachable = "unreachable" // nothing was sent: the upstream was not reached
	ReasonUnknown     = "unknown"     // the outcome of the call is not known: it may have taken effect
	ReasonRefusal     = "refusal"     // the model refused to answer
	ReasonCut         = "cut"         // the answer was cut short
	ReasonInvalid     = "invalid"     // the answer is not what was asked for
	ReasonNotRun      = "not_run"     // the line was never run (batch expired or cancelled)
	ReasonTokenLimit  = "token_limit"
	ReasonBudget      = "budget" // what may be spent is used up
)

// Error is a classified failure of an upstream and at the same time the instruction to the engine.
type Error struct {
	Kind     Kind
	After    time.Duration // not before; 0 leaves it to the engine
	Reason   string        // one of the Reasons, or ""
	Upstream string        // which upstream said it: instagram, openai, naver, kakao, mongo
	Err      error
}

func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Err != nil {
		s = e.Err.Error()
	}
	if e.Upstream != "" {
		return fmt.Sprintf("%s: %s", e.Upstream, s)
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Classify returns the *Error in err's chain, or a Temporary one around err. It returns nil for nil.
func Classify(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Temporary, Err: err}
}
