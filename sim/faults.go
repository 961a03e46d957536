package sim

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// Fault says how often something goes wrong. The zero value is never.
type Fault struct {
	Rate  float64 // probability at each chance, once Skip and Count are used up
	Count int     // so many chances, after the skipped ones, go wrong for certain
	Skip  int     // so many chances at first go well
}

// Often is a fault of the given probability.
func Often(rate float64) Fault { return Fault{Rate: rate} }

// Times is a fault that happens at the first n chances.
func Times(n int) Fault { return Fault{Count: n} }

// HTTPFaults can befall any call of one upstream.
type HTTPFaults struct {
	Throttle Fault // 429 of the per-second kind, without need
	Error500 Fault // 500 with the upstream's own body
	HTML502  Fault // 502 with a page of HTML
	Cut      Fault // half of the body, then the connection breaks
	Truncate Fault // half of the body, ended properly
	Stall    Fault // nothing, for StallFor, then the connection breaks
	Slow     Fault // ten times the mean latency
	Reset    Fault // the connection is reset before an answer
	Drip     Fault // the answer comes a byte at a time, too slowly to come to its end
	Label    Fault // the right answer under the wrong content type
	Closed   Fault // 200 with a page of HTML: closed for maintenance
	Huge     Fault // 200 with an answer that does not end
	Types    Fault // 200 with JSON whose values are of other types than documented; not of files
}

// InstagramFaults can befall the lists.
type InstagramFaults struct {
	HTTPFaults
	EmptyPage     Fault // no items, and a token
	RepeatToken   Fault // the token that was asked with comes back
	RefuseToken   Fault // 400 for a token that was handed out
	PostAppears   Fault // a new post of the account appears after a page was served
	PostVanishes  Fault // one of the items is deleted after its page was served
	Billed        Fault // the quota is used up: 429 of the monthly kind
	FalseNotFound Fault // 404 for an account that exists
}

// OpenAIFaults can befall files, batches and lines.
type OpenAIFaults struct {
	HTTPFaults
	RetryAfter   Fault // 429 with Retry-After
	QuotaSpent   Fault // 429 insufficient_quota
	UploadCut    Fault // the connection breaks while the file is read; nothing is stored
	UploadLost   Fault // the file is stored, the answer is not sent
	CreateLost   Fault // the batch is created, the answer is not sent
	CreateStall  Fault // the batch is created, the answer stalls for StallFor
	TokensAt429  Fault // token limit refused at creation with 429
	TokenLimit   Fault // the batch fails with token_limit_exceeded whatever the meter says
	HideFromList Fault // the batch never shows in the list
	StateJump    Fault // validating, then at once completed
	Stuck        Fault // validating for ever
	BatchFails   Fault // failed for no reason of the input
	Expires      Fault // expired after half of the lines
	ExpiresMute  Fault // expired after half of the lines, with no error file
	Cancelled    Fault // cancelled by somebody after half of the lines
	NoOutputFile Fault // completed with output_file_id null
	NoErrorFile  Fault // completed with error_file_id null although lines failed
	CutDownload  Fault // the connection breaks inside a line of a results file
	CutLine      Fault // the results file ends properly inside a line

	Refusal       Fault // of one line: message.refusal
	Length        Fault // of one line: cut JSON, finish_reason length
	ContentFilter Fault // of one line: finish_reason content_filter
	LineMissing   Fault // of one line: in no file
	LineStatus0   Fault // of one line: status_code 0 in the output file
	LineError500  Fault // of one line: status 500 in the error file
	LineError429  Fault // of one line: status 429 in the error file

	WebhookLost         Fault // an event is never sent
	WebhookTwice        Fault // an event is sent twice under one id
	WebhookOld          Fault // a delivery is signed with a timestamp of ten minutes ago
	WebhookBadSignature Fault // a delivery is signed with another secret
	WebhookTwoSigned    Fault // a delivery carries a wrong signature before the right one
	WebhookEarly        Fault // an event is sent while the batch still shows finalizing
}

// NaverFaults can befall a search.
type NaverFaults struct {
	HTTPFaults
	Katech    Fault // coordinates of one answer in the old unit
	NestedHub Fault // a hub error has its body nested in "error"
	DayUsedUp Fault // 429 of the daily kind
}

// KakaoFaults can befall a search.
type KakaoFaults struct {
	HTTPFaults
	QuotaAs400 Fault // used up, as status 400 with code -10
	QuotaAs429 Fault // used up, as status 429
	OldBodies  Fault // an error has the older code/msg body
}

// Faults are everything that can go wrong, by upstream.
type Faults struct {
	Instagram InstagramFaults
	OpenAI    OpenAIFaults
	Naver     NaverFaults
	Kakao     KakaoFaults
	Velog     VelogFaults
	StallFor  time.Duration // 0 means until the client gives up
	Skew      time.Duration // how far ahead the clocks of the upstreams are: Date, and what refusals and batches say of instants
}

// dice decides about faults and latencies, apart from the world's own chance.
type dice struct {
	mu     sync.Mutex
	rng    *rand.Rand
	faults Faults
	seen   map[*Fault]int // chances so far, by field of faults
	seed   uint64
	drawn  map[string]uint64 // draws so far, by what they are for
}

func newDice(o Options) *dice {
	return &dice{rng: rand.New(rand.NewPCG(o.Seed, 0x64696365)), faults: o.Faults, seen: map[*Fault]int{}, seed: o.Seed, drawn: map[string]uint64{}}
}

// hit reports whether the fault happens now. f must be a field of d.faults.
func (d *dice) hit(f *Fault) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if *f == (Fault{}) {
		return false
	}
	n := d.seen[f]
	d.seen[f]++
	switch {
	case n < f.Skip:
		return false
	case n < f.Skip+f.Count:
		return true
	default:
		return f.Rate > 0 && d.rng.Float64() < f.Rate
	}
}

// befalls is hit where chance depends on nothing but what may go wrong and how often that could before.
func (d *dice) befalls(f *Fault, what string) bool {
	d.mu.Lock()
	n := d.seen[f]
	if *f != (Fault{}) {
		d.seen[f]++
	}
	fault := *f
	d.mu.Unlock()
	switch {
	case fault == (Fault{}) || n < fault.Skip:
		return false
	case n < fault.Skip+fault.Count:
		return true
	default:
		return fault.Rate > 0 && d.nth(what) < fault.Rate
	}
}

// nth draws a number in [0, 1) that depends on nothing but the seed, what it is for and how many were drawn for that before: the
// pages of one list take equally long whoever asks for them and in whatever order with others.
func (d *dice) nth(what string) float64 {
	d.mu.Lock()
	n := d.drawn[what]
	d.drawn[what]++
	d.mu.Unlock()
	h := fnv.New64a()
	h.Write([]byte(what))
	return rand.New(rand.NewPCG(d.seed, h.Sum64()+n)).Float64()
}

// again forgets how many were drawn.
func (d *dice) again() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.drawn)
}

func (d *dice) intN(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(n)
}

func (d *dice) stallFor() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults.StallFor
}

func (d *dice) skew() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults.Skew
}

// SetFaults replaces the faults and begins to count their chances anew.
func (s *Server) SetFaults(f Faults) {
	s.dice.mu.Lock()
	defer s.dice.mu.Unlock()
	s.dice.faults = f
	clear(s.dice.seen)
}
