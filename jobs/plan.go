package jobs

import (
	"fmt"
	"math"
	"slices"
	"time"

	"sumbi/queue"
)

// What a plan takes for granted where the file says nothing. Each that was needed is named in the plan.
const (
	assumedPosts    = 600  // posts of an account: the median of food influencers
	assumedDistinct = 0.75 // of what two lists show; the rest is in both
	assumedCaptions = 0.95 // captions to be read, for each post: some are empty, some are the same
	assumedMentions = 1.2  // restaurants in a caption
	assumedSearches = 1.2  // of each finder, for each restaurant; what was asked before is not asked again
	assumedSecond   = 0.5  // of a finder that is asked only while the place is uncertain
	assumedInput    = 950  // tokens of a question: the instructions and a caption of some 400 letters
	assumedOutput   = 350  // tokens of an answer
	assumedCalls    = 20   // requests for each batch: upload, creation, a look now and then, the answers
)

// paceShare is how much of a limit is used until that has been found out: a little is left so that no call is refused.
const paceShare = 0.97

// enough is how many cases make a habit.
const enough = 50

// PlanInput is what a plan is made of.
type PlanInput struct {
	Pipeline string
	Lists    []string
	PageSize int
	Targets  []string    // that a new run would ask for
	Chosen   bool        // Targets were named by hand
	Full     bool        // a new run walks whole lists
	Known    queue.Known // what the file knows; zero: nothing
	Now      time.Time
	Rate     float64       // pages a second that the limits allow; 0 unlimited
	Pace     float64       // pages a second that are made, a little less; 0: not known
	Latency  time.Duration // of a page; 0: not observed

	Finders        []string
	Always         bool // every search goes to all of them
	MaxLines       int
	EnqueuedTokens int64
}

// Searches is how often a finder is asked.
type Searches struct {
	Finder string
	N      int
}

// Assumption is a value that a plan takes for granted.
type Assumption struct{ What, Value string }

// Plan forecasts a run.
type Plan struct {
	Accounts int
	Skipped  int      // accounts that were gone too often
	Unknown  []string // accounts of whose length nothing is known
	Open     int64    // the unfinished run that goes on; 0 = a new one
	Full     bool     // walks whole lists
	Crawl    Forecast
	LookUps  int // of accounts that were gone
	Posts    int // new ones
	Captions int // to be read
	Batches  int
	OpenAI   int // requests
	Mentions int // to be searched
	Searches []Searches
	Input    int64 // tokens
	Output   int64
	Assumed  []Assumption
}

// planner is a plan in the making. What is counted stays a fraction until the end, so that many small chances add up.
type planner struct {
	in      PlanInput
	lengths Lengths
	guess   map[string]float64 // pages of a list of which nothing is known
	plan    Plan
	carry   float64
	pages   []int   // of each list
	items   float64 // new to their lists
}

// MakePlan forecasts what a run does, without asking anybody.
func MakePlan(in PlanInput) Plan {
	p := &planner{in: in, lengths: NewLengths(in.Known.Walks, in.Lists, in.PageSize), guess: map[string]float64{}}
	p.plan.Full = in.Full || (in.Known.FullDue && !in.Chosen)
	if o := in.Known.Open; o != nil {
		p.plan.Open, p.plan.Full = o.ID, o.Whole
	}
	for _, l := range in.Lists {
		p.guess[l] = assumedPosts*p.lengths.share[l]/p.lengths.size + 0.5
	}
	p.crawl()
	latency := in.Latency
	if latency <= 0 {
		latency = DefaultLatency
		p.assume("an answer of a page takes", latency.String())
	}
	p.plan.Crawl = Predict(p.pages, in.Rate, latency)
	pace := in.Pace
	if pace <= 0 {
		pace = in.Rate * paceShare
	}
	paced := Predict(p.pages, pace, latency)
	p.plan.Crawl.Expected, p.plan.Crawl.Double = paced.Expected, paced.Double
	p.follow()
	return p.plan
}

func (p *planner) assume(what, value string) {
	if a := (Assumption{what, value}); !slices.Contains(p.plan.Assumed, a) {
		p.plan.Assumed = append(p.plan.Assumed, a)
	}
}

// habit is the ratio that the file has seen, else what is assumed of it.
func (p *planner) habit(what string, n, of int, assumed float64) float64 {
	if of >= enough {
		return float64(n) / float64(of)
	}
	p.assume(what, fmt.Sprintf("%g", assumed))
	return assumed
}

// list adds the pages of one list, whole ones: what is cut off is given to the next.
func (p *planner) list(pages float64) {
	p.carry += pages
	n := int(math.Round(p.carry))
	p.carry -= float64(n)
	if n > 0 {
		p.pages = append(p.pages, n)
	}
}

// crawl adds up the pages of all targets.
func (p *planner) crawl() {
	type key struct{ target, list string }
	walks := map[key]queue.Reach{}
	for _, w := range p.in.Known.Walks {
		walks[key{w.Target, w.List}] = w
	}
	open := p.in.Known.Open
	for _, t := range p.in.Targets {
		known := p.in.Known.Targets[t]
		if open == nil && known.State == queue.WalkGone && known.Misses >= goneRuns && !p.plan.Full && !p.in.Chosen {
			p.plan.Skipped++
			continue
		}
		p.plan.Accounts++
		unknown := false
		for _, l := range p.in.Lists {
			w, ok := walks[key{t, l}]
			if !ok {
				w = queue.Reach{Walk: queue.Walk{Target: t, List: l, State: queue.WalkIdle}, Total: known.Total}
			}
			if open != nil && (w.Run == open.ID || !open.Seeded.IsZero()) {
				if w.Run == open.ID && w.State == queue.WalkWalking {
					unknown = !p.goesOn(w) || unknown
				}
				continue
			}
			w.Whole = p.plan.Full || (w.Whole && w.State != queue.WalkIdle) // one that was cut is owed
			switch known.State {
			case queue.WalkGone:
				p.plan.LookUps++ // the profile is looked at, too
				p.list(1)
			case queue.WalkPrivate:
				p.list(1)
			default:
				unknown = !p.begins(w) || unknown
			}
		}
		if unknown {
			p.plan.Unknown = append(p.plan.Unknown, t)
		}
	}
	if len(p.plan.Unknown) > 0 {
		for _, l := range p.in.Lists {
			if m := p.lengths.mean[l]; m > 0 {
				p.assume("pages of "+l+" of an unknown account, the mean of those known", fmt.Sprintf("%.1f", m))
			} else {
				p.assume("posts of an unknown account", fmt.Sprint(assumedPosts))
			}
		}
	}
}

// begins adds a list that is walked from its first page; false when its length is a guess.
func (p *planner) begins(w queue.Reach) bool {
	news := p.news(w)
	if !w.Whole && !w.Mark.IsZero() {
		// The walk ends with the first page that shows nothing new.
		pages := 1 + (1-math.Exp(-news))*max(1, news/p.lengths.size+0.5)
		p.list(min(pages, max(float64(w.Expected)+news/p.lengths.size, 1)))
		p.items += news
		return true
	}
	pages, known := p.lengths.whole(w, p.guess[w.List])
	p.shares(w)
	if w.Expected > 0 {
		p.list(pages + news/p.lengths.size)
		p.items += news
		return known
	}
	p.list(pages)
	stored := 0.0
	if w.State == queue.WalkUnfinished {
		stored = float64(w.Pages)
	}
	p.items += max(pages-0.5-stored, 0) * p.lengths.size
	return known
}

// goesOn adds what is left of a list that is under way; false when its length is a guess.
func (p *planner) goesOn(w queue.Reach) bool {
	if !w.Whole && !w.Mark.IsZero() {
		p.list(float64(news(w.Walk)))
		return true
	}
	pages, known := p.lengths.whole(w, p.guess[w.List])
	p.shares(w)
	left := max(pages-float64(w.Pages), 1)
	p.list(left)
	if w.Expected == 0 {
		p.items += max(left-0.5, 0) * p.lengths.size
	}
	return known
}

// shares names what is assumed of how much of the count a list shows.
func (p *planner) shares(w queue.Reach) {
	if w.Expected > 0 || w.Total == 0 || p.lengths.learnt[w.List] || slices.Index(p.in.Lists, w.List) == 0 {
		return
	}
	p.assume("part of an account's posts that "+w.List+" shows", fmt.Sprintf("%g", p.lengths.share[w.List]))
}

// news expects how many records a list has won since it was last walked, at the pace of the records that walk has seen.
func (p *planner) news(w queue.Reach) float64 {
	span := w.Newest.Sub(w.Oldest)
	since := w.Ended
	if w.State == queue.WalkUnfinished || since.IsZero() {
		since = w.Mark
	}
	gone := p.in.Now.Sub(since)
	if since.IsZero() || w.Pages == 0 || span <= 0 || gone <= 0 {
		return 0
	}
	return float64(w.Pages) * p.lengths.size * float64(gone) / float64(span)
}

// follow adds what comes after the pages: captions, batches, searches.
func (p *planner) follow() {
	in, k := p.in, p.in.Known
	distinct := 1.0
	posts := p.items
	if len(in.Lists) > 1 && posts > 0 {
		distinct = p.habit("posts, for each entry in a list (some are in two)", k.Records, k.Listed, assumedDistinct)
	}
	posts *= min(distinct, 1)
	captions := float64(k.Waiting)
	if posts > 0 {
		captions += posts * p.habit("captions to be read, for each post", k.Asked, k.Records, assumedCaptions)
	}
	p.plan.Posts, p.plan.Captions = int(math.Round(posts)), int(math.Round(captions))
	found := 0.0
	if p.plan.Captions > 0 {
		input := p.habit("tokens of a question", int(k.Input), k.Answered, assumedInput)
		output := p.habit("tokens of an answer", int(k.Output), k.Answered, assumedOutput)
		p.plan.Input, p.plan.Output = int64(captions*input), int64(captions*output)
		lines := float64(max(in.MaxLines, 1))
		if in.EnqueuedTokens > 0 {
			lines = max(min(lines, float64(in.EnqueuedTokens)/input), 1)
		}
		p.plan.Batches = int(math.Ceil(captions / lines))
		calls := float64(assumedCalls)
		if k.Batches > 0 {
			calls = float64(k.Requests["openai"]) / float64(k.Batches)
		} else {
			p.assume("requests for each batch", fmt.Sprint(assumedCalls))
		}
		p.plan.OpenAI = int(math.Round(float64(p.plan.Batches) * calls))
		found = captions * p.habit("restaurants in a caption", k.Mentions, k.Answered, assumedMentions)
	}
	mentions := found + float64(k.Matching)
	p.plan.Mentions = int(math.Round(mentions))
	for i, f := range in.Finders {
		n, assumed := 0.0, assumedSearches
		if i > 0 && !in.Always {
			assumed = assumedSecond
		}
		if p.plan.Mentions > 0 {
			n = mentions * p.habit("searches with "+f+", for each restaurant", k.Requests[f], k.Mentions-k.Matching, assumed)
		}
		p.plan.Searches = append(p.plan.Searches, Searches{f, int(math.Round(n))})
	}
}
