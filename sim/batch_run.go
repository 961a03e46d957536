package sim

import (
	"fmt"
	"time"
)

// validate ends the first state of a batch: the input is refused as a whole or the lines begin to run.
func (ai *openAI) validate(b *batch) {
	ai.mu.Lock()
	f := ai.files[b.input]
	current := b.status
	ai.mu.Unlock()
	d, faults := ai.s.dice, &ai.s.dice.faults.OpenAI
	if current != "validating" {
		return
	}
	c := checker{endpoint: b.endpoint, maxLines: ai.s.o.MaxLines}
	switch {
	case f == nil:
		c.problem(0, "invalid_request", fmt.Sprintf("Cannot find file %s, or organization org-sim does not have access to it.", b.input), "file_id")
	case d.hit(&faults.BatchFails):
		c.problem(0, "server_error", "The batch could not be processed. Please try again.", nil)
	default:
		c.file(f)
	}
	jump := d.hit(&faults.StateJump)
	ai.mu.Lock()
	defer ai.mu.Unlock()
	if b.status != "validating" { // cancelled meanwhile
		return
	}
	b.model = c.model
	over := ai.s.o.EnqueuedTokens > 0 && ai.tokens[c.model]+c.tokens > ai.s.o.EnqueuedTokens
	if len(c.problems) == 0 && (over || d.hit(&faults.TokenLimit)) {
		c.problem(0, "token_limit_exceeded", ai.s.tokenMessage(c.model), nil)
	}
	if len(c.problems) > 0 {
		b.problems = c.problems
		ai.end(b, "failed")
		return
	}
	b.total, b.estimate, b.enqueued = c.total, c.tokens, true
	ai.tokens[c.model] += c.tokens
	peak := ai.tokens[c.model]
	ai.s.stats.add(func(st *Stats) { st.PeakEnqueued = max(st.PeakEnqueued, peak) })
	ai.enter(b, "in_progress")
	wait := ai.s.o.BatchStep
	if jump {
		wait = 0
	}
	ai.s.after(wait, func() { ai.work(b, f, jump) })
}

// tokenMessage is the text of token_limit_exceeded.
func (s *Server) tokenMessage(model string) string {
	limit := s.o.EnqueuedTokens
	if limit == 0 {
		limit = 2_000_000
	}
	return fmt.Sprintf("Enqueued token limit reached for %s in organization org-sim. Limit: %s enqueued tokens. Please try again once some in_progress batches have been completed.", model, thousands(limit))
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// enter moves a batch to a state. The caller holds ai.mu.
func (ai *openAI) enter(b *batch, status string) {
	b.status = status
	b.at[status] = time.Now()
}

// work ends the state in_progress: the lines have run, or the batch was stopped by expiry or by somebody.
func (ai *openAI) work(b *batch, f *file, jump bool) {
	d, faults := ai.s.dice, &ai.s.dice.faults.OpenAI
	expires, mute := d.hit(&faults.Expires), d.hit(&faults.ExpiresMute)
	cancelled := d.hit(&faults.Cancelled)
	if cancelled {
		ai.mu.Lock()
		if b.status == "in_progress" {
			ai.stop(b, 0.5)
		}
		ai.mu.Unlock()
		return
	}
	share, code := 1.0, ""
	if expires || mute {
		share, code = 0.5, "batch_expired"
	}
	if !ai.still(b, "in_progress") {
		return
	}
	res := ai.runLines(f, b.total, share, code, mute)
	ai.mu.Lock()
	defer ai.mu.Unlock()
	if b.status != "in_progress" { // cancelled while they ran
		ai.forget(res)
		return
	}
	b.result = res
	b.done, b.failed, b.in, b.out = res.done, res.failed, res.in, res.out
	switch {
	case code != "":
		ai.end(b, "expired")
	case jump:
		ai.end(b, "completed")
	default:
		ai.enter(b, "finalizing")
		ai.s.after(ai.s.o.BatchStep, func() {
			ai.mu.Lock()
			defer ai.mu.Unlock()
			if b.status == "finalizing" {
				ai.end(b, "completed")
			}
		})
	}
}

func (ai *openAI) still(b *batch, status string) bool {
	ai.mu.Lock()
	defer ai.mu.Unlock()
	return b.status == status
}

// stop cancels a batch of which a share of the lines has run. The caller holds ai.mu.
func (ai *openAI) stop(b *batch, share float64) {
	f := ai.files[b.input]
	ai.enter(b, "cancelling")
	ai.s.after(ai.s.o.BatchStep, func() {
		res := &results{output: &blob{}, errors: &blob{}}
		if f != nil && b.total > 0 {
			res = ai.runLines(f, b.total, share, "batch_cancelled", false)
		}
		ai.mu.Lock()
		defer ai.mu.Unlock()
		b.result = res
		b.done, b.failed, b.in, b.out = res.done, res.failed, res.in, res.out
		ai.end(b, "cancelled")
	})
}

// results is what running the lines of a batch gave.
type results struct {
	output, errors *blob
	done, failed   int
	in, out        int64
	good           []outcome // without their lines
}

// runLines runs a share of the lines; the rest is reported as code, unless mute. Answers come in shuffled order.
func (ai *openAI) runLines(f *file, total int, share float64, code string, mute bool) *results {
	res := &results{output: &blob{}, errors: &blob{}}
	upTo := int(float64(total)*share + 0.5)
	var window []outcome
	flush := func() {
		for len(window) > 0 {
			i := ai.s.dice.intN(len(window))
			o := window[i]
			window[i] = window[len(window)-1]
			window = window[:len(window)-1]
			ai.take(res, o)
		}
	}
	for n, line := range f.lines() {
		if n <= upTo {
			window = append(window, ai.run(line))
		} else if !mute {
			_, _ = res.errors.Write(ai.notRun(line, code)) // a full disk shows as missing lines
		}
		if len(window) == 1000 {
			flush()
		}
	}
	flush()
	return res
}

// take counts an outcome and writes its line.
func (ai *openAI) take(res *results, o outcome) {
	res.in += o.in
	res.out += o.out
	if o.in > 0 {
		ai.mu.Lock()
		id, caption := o.keys()
		again, captionAgain := ai.goodID[id] > 0, ai.goodCap[caption] > 0
		if o.good {
			ai.goodID[id]++
			ai.goodCap[caption]++
		}
		ai.mu.Unlock()
		ai.s.stats.add(func(st *Stats) {
			st.Lines++
			st.InputTokens += o.in
			st.OutputTokens += o.out
			if again {
				st.LinesAgain++
			}
			if captionAgain {
				st.CaptionsAgain++
			}
		})
	}
	to := res.output
	if o.failed {
		res.failed++
		to = res.errors
	} else {
		res.done++
	}
	if !o.missing {
		_, _ = to.Write(o.line) // a full disk shows as missing lines
	}
	if o.good {
		res.good = append(res.good, outcome{id: o.id, caption: o.caption})
	}
}

// end moves a batch to a final state, shows its files, and sends the event. The caller holds ai.mu.
func (ai *openAI) end(b *batch, status string) {
	d, faults := ai.s.dice, &ai.s.dice.faults.OpenAI
	ai.enter(b, status)
	if b.enqueued {
		ai.tokens[b.model] -= b.estimate
		b.enqueued = false
	}
	if res := b.result; res != nil {
		if res.output.size > 0 && !(status == "completed" && d.hit(&faults.NoOutputFile)) {
			b.output = ai.keep(b, res.output, "output")
		} else {
			ai.forget(res)
		}
		if res.errors.size > 0 && !(status == "completed" && d.hit(&faults.NoErrorFile)) {
			b.errorFile = ai.keep(b, res.errors, "error")
		}
		b.result = nil
	}
	if ai.s.o.WebhookURL == "" {
		return
	}
	if status == "completed" && d.hit(&faults.WebhookEarly) {
		b.shown = "finalizing"
		ai.s.after(max(ai.s.o.BatchStep, time.Millisecond), func() {
			ai.mu.Lock()
			b.shown = ""
			ai.mu.Unlock()
		})
	}
	ai.s.notify(b.id, status)
}

// forget takes back that lines have good answers: nobody will ever see them. The caller holds ai.mu.
func (ai *openAI) forget(res *results) {
	for _, g := range res.good {
		id, caption := g.keys()
		ai.goodID[id]--
		ai.goodCap[caption]--
	}
}

// keep stores a results file. The caller holds ai.mu.
func (ai *openAI) keep(b *batch, body *blob, what string) string {
	now := time.Now().Unix()
	life := b.outputSeconds
	if life == 0 {
		life = 30 * 86400
	}
	f := &file{name: fmt.Sprintf("%s_%s.jsonl", b.id, what), purpose: "batch_output", created: now, expires: now + life, body: body}
	ai.store(f, "file-")
	return f.id
}
