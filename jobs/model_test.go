package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sumbi/adapters"
)

// model is a Batcher whose upstream keeps files and batches, counts what it is asked to pay, and can be told to misbehave.
type model struct {
	w *world

	mu      sync.Mutex
	name    string
	files   map[string]string
	batches []*fakeBatch // in the order of their creation
	ran     map[string]int
	calls   []string // "upload", "create", … in order

	tokens int64         // of a line
	took   time.Duration // from creation to the end
	hidden time.Duration // how long the list does not show a new batch

	fault  func(call string, effect bool) error  // asked before and after a call takes effect
	fate   func(id, text string, try int) fate   // what becomes of a line; nil is a good answer
	ending func(b *fakeBatch) adapters.Batch     // how a batch ends; nil is well
	early  func(tokens int64) []adapters.Problem // why it is not even created; nil is created
	refuse func(b *fakeBatch) []adapters.Problem // why it is not taken; nil is taken
	mangle func(file, text string, n int) string // changes the n-th download of a file, from 1
	loads  map[string]int                        // downloads of each file
	answer func(text string) string              // nil is what the caption has in brackets
}

type fakeBatch struct {
	id, file, shard string
	at              time.Time
	lines           []fakeLine
	tokens          int64
	done            bool
	answer          adapters.Batch
}

type fakeLine struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// fate is one line of a result file. The zero fate is no line at all.
type fate struct {
	ID     string `json:"id"`
	Body   string `json:"body,omitempty"`
	Err    string `json:"err,omitempty"`
	Reason string `json:"reason,omitempty"`
	Kind   adapters.Kind
	In     int64 `json:"in"`
	Out    int64 `json:"out"`
	inErrs bool
}

func newModel(w *world) *model {
	return &model{w: w, name: "gpt-시험", files: map[string]string{}, ran: map[string]int{}, loads: map[string]int{}, tokens: 10, took: 200 * time.Millisecond}
}

// clone returns the same upstream for another world.
func (m *model) clone(w *world) *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newModel(w)
	c.files, c.ran, c.tokens, c.took, c.hidden = maps.Clone(m.files), maps.Clone(m.ran), m.tokens, m.took, m.hidden
	for _, b := range m.batches {
		nb := *b
		c.batches = append(c.batches, &nb)
	}
	return c
}

// call does one call: faults before and after its effect, nothing for a dead process.
func (m *model) call(ctx context.Context, name string, effect func() error) error {
	if m.w.dead.Load() {
		return errDead
	}
	adapters.CountCall(ctx, "openai")
	m.mu.Lock()
	m.calls = append(m.calls, name)
	fault := m.fault
	m.mu.Unlock()
	if fault != nil {
		if err := fault(name, false); err != nil {
			return err
		}
	}
	m.mu.Lock()
	err := effect()
	m.mu.Unlock()
	if err == nil && fault != nil {
		err = fault(name, true)
	}
	return err
}

func (m *model) Model() string { return m.name }

func (m *model) Line(l adapters.Line) ([]byte, error) {
	var text string
	if err := json.Unmarshal(l.Body, &text); err != nil {
		return nil, err
	}
	if strings.Contains(text, "담을 수 없음") {
		return nil, errors.New("this line may not go")
	}
	b, err := json.Marshal(fakeLine{l.ID, text})
	return append(b, '\n'), err
}

func (m *model) Tokens([]byte) int64 { return m.tokens }

func (m *model) Upload(ctx context.Context, name string, size int64, r io.Reader) (file string, err error) {
	err = m.call(ctx, "upload", func() error {
		b, err := io.ReadAll(r)
		if err != nil || int64(len(b)) != size {
			return fmt.Errorf("%d of %d bytes, %w", len(b), size, err)
		}
		file = fmt.Sprintf("file-%d-%s", len(m.files)+1, name)
		m.files[file] = string(b)
		return nil
	})
	return file, err
}

func (m *model) Create(ctx context.Context, file, shard string, n int) (got adapters.Batch, err error) {
	if m.w.onCreate != nil {
		m.w.onCreate() // the intent is committed, the call not made
	}
	err = m.call(ctx, "create", func() error {
		b := &fakeBatch{id: fmt.Sprintf("batch_%d", len(m.batches)+1), file: file, shard: shard, at: time.Now()}
		for line := range strings.Lines(m.files[file]) {
			var l fakeLine
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				return err
			}
			b.lines = append(b.lines, l)
		}
		if len(b.lines) != n || n == 0 {
			m.w.tb.Errorf("batch of %d lines was announced with %d", len(b.lines), n)
		}
		b.tokens = m.tokens * int64(n)
		if m.early != nil {
			if ps := m.early(b.tokens); ps != nil {
				got = adapters.Batch{State: adapters.BatchRefused, Status: "failed", Problems: ps}
				return &adapters.Error{Kind: adapters.Throttled, Reason: adapters.ReasonTokenLimit, Upstream: "openai", Err: errors.New(ps[0].Message)}
			}
		}
		m.batches = append(m.batches, b)
		got = adapters.Batch{ID: b.id, State: adapters.BatchRunning, Status: "validating", CreatedAt: b.at}
		return nil
	})
	return got, err
}

func (m *model) Find(ctx context.Context, shard string, since time.Time) (got adapters.Batch, ok bool, err error) {
	err = m.call(ctx, "find", func() error {
		for _, b := range slices.Backward(m.batches) {
			if !ok && b.shard == shard && !b.at.Before(since) && time.Since(b.at) >= m.hidden {
				got, ok = m.state(b), true
			}
		}
		return nil
	})
	return got, ok, err
}

func (m *model) Get(ctx context.Context, id string) (got adapters.Batch, err error) {
	err = m.call(ctx, "get", func() error {
		for _, b := range m.batches {
			if b.id == id {
				got = m.state(b)
				return nil
			}
		}
		return &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "openai", Err: errors.New("no batch found")}
	})
	return got, err
}

// inFlight returns the tokens of the batches that have not ended.
func (m *model) inFlight() int64 {
	var n int64
	for _, b := range m.batches {
		if m.state(b).State == adapters.BatchRunning {
			n += b.tokens
		}
	}
	return n
}

// state runs a batch when its time has come.
func (m *model) state(b *fakeBatch) adapters.Batch {
	if b.done {
		return b.answer
	}
	b.answer = adapters.Batch{ID: b.id, State: adapters.BatchRunning, Status: "in_progress", CreatedAt: b.at}
	if m.refuse != nil && time.Since(b.at) >= m.took/3 {
		if ps := m.refuse(b); ps != nil {
			b.done = true
			b.answer.State, b.answer.Status, b.answer.Problems = adapters.BatchRefused, "failed", ps
			return b.answer
		}
	}
	if time.Since(b.at) < m.took {
		return b.answer
	}
	b.done = true
	var out, errs bytes.Buffer
	for _, l := range b.lines {
		m.ran[l.ID]++
		f := fate{Body: m.about(l.Text), In: 10, Out: 3}
		if m.fate != nil {
			f = m.fate(l.ID, l.Text, m.ran[l.ID])
		}
		if f == (fate{}) {
			continue
		}
		if f.Body == "good" {
			f.Body = m.about(l.Text)
		}
		f.ID = l.ID
		line, err := json.Marshal(f)
		if err != nil {
			panic(err)
		}
		to := &out
		if f.inErrs {
			to = &errs
		}
		to.Write(append(line, '\n'))
	}
	b.answer.State, b.answer.Status = adapters.BatchEnded, "completed"
	for name, buf := range map[string]*bytes.Buffer{"out-" + b.id: &out, "err-" + b.id: &errs} {
		if buf.Len() > 0 {
			m.files[name] = buf.String()
		}
	}
	if out.Len() > 0 {
		b.answer.OutputFile = "out-" + b.id
	}
	if errs.Len() > 0 {
		b.answer.ErrorFile = "err-" + b.id
	}
	if m.ending != nil {
		b.answer = m.ending(b)
	}
	return b.answer
}

var bracketed = regexp.MustCompile(`\[([^\]]+)\]`)

// about answers what a caption has in brackets.
func (m *model) about(text string) string {
	if m.answer != nil {
		return m.answer(text)
	}
	var names []string
	for _, n := range bracketed.FindAllStringSubmatch(text, -1) {
		names = append(names, n[1])
	}
	return restaurants(names...)
}

// restaurants is an answer that names places in 중구, Seoul.
func restaurants(names ...string) string {
	type restaurant map[string]any
	all := []restaurant{}
	for _, n := range names {
		all = append(all, restaurant{
			"name": n, "branch": nil, "address": addressOf(n), "area": nil, "phone": nil,
			"menu": []any{map[string]any{"name": "냉면", "price": 14000}}, "ad": false, "quote": "[" + n + "]",
		})
	}
	b, err := json.Marshal(map[string]any{"restaurants": all})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (m *model) Download(ctx context.Context, file string, w io.Writer) (n int64, err error) {
	var text string
	err = m.call(ctx, "download", func() error {
		var ok bool
		if text, ok = m.files[file]; !ok {
			return &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: "openai", Err: errors.New("no such file")}
		}
		if m.loads[file]++; m.mangle != nil {
			text = m.mangle(file, text, m.loads[file])
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	k, err := io.WriteString(w, text)
	return int64(k), err
}

func (m *model) Answer(line []byte) (adapters.Answer, error) {
	var f fate
	if err := json.Unmarshal(line, &f); err != nil {
		return adapters.Answer{}, err
	}
	a := adapters.Answer{ID: f.ID, InputTokens: f.In, OutputTokens: f.Out}
	if f.Err != "" {
		a.Err = &adapters.Error{Kind: f.Kind, Reason: f.Reason, Upstream: "openai", Err: errors.New(f.Err)}
		return a, nil
	}
	a.Body = json.RawMessage(f.Body)
	return a, nil
}

// count returns how often a call was made.
func (m *model) count(call string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, c := range m.calls {
		if c == call {
			n++
		}
	}
	return n
}

// sizes returns the lines of every batch, in order.
func (m *model) sizes() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ns []string
	for _, b := range m.batches {
		ns = append(ns, fmt.Sprint(len(b.lines)))
	}
	return strings.Join(ns, " ")
}

// texts returns the texts of the i-th batch, sorted.
func (m *model) texts(i int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ts []string
	for _, l := range m.batches[i].lines {
		ts = append(ts, l.Text)
	}
	slices.Sort(ts)
	return strings.Join(ts, "|")
}

// paidTwice returns the shards that have more than one batch.
func (m *model) paidTwice() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := map[string]int{}
	for _, b := range m.batches {
		n[b.shard]++
	}
	var twice []string
	for s, k := range n {
		if k > 1 {
			twice = append(twice, s)
		}
	}
	return twice
}
