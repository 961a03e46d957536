package web

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"sumbi/jobs"
)

// sentence is something that a person should know.
type sentence struct {
	Level  string // of a badge: bad, warn, ok, idle
	Tag    string // marked with say
	Text   string // likewise
	Args   []any
	Plain  string // what Detail means, marked with say; "" nothing does
	Detail string // as somebody else said it
	Path   string // where more is shown; "" nowhere
	More   string // what the link says, marked with say
	Ask    bool   // the link asks a question
}

// In is the sentence in a language, with numbers and times as it writes them.
func (x sentence) In(lang string) string {
	args := slices.Clone(x.Args)
	for i, a := range args {
		switch a := a.(type) {
		case int:
			args[i] = grouped(a)
		case time.Time:
			args[i] = moment(lang, a)
		}
	}
	return word(lang, x.Text, args...)
}

// because is the sentence with a reason.
func (x sentence) because(reason string) sentence {
	x.Plain, x.Detail = meaning(reason)
	return x
}

const (
	slowGuard = 150 * time.Millisecond // a guard that costs so much of the pace that a person should know
	shortHold = 5 * time.Second        // a hold that is nobody's business: the upstream refused a call
	untoldFor = 20 * time.Minute       // how long a trouble may wait to be told
)

// attention is what waits, and what a person should look at, the worst first.
func (s *Server) attention(ctx context.Context, reviews int) (all []sentence, err error) {
	for _, read := range []func(context.Context) ([]sentence, error){s.broke, s.logins, s.waits, s.limits, s.accounts, s.leftovers} {
		some, err := read(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	if reviews > 0 {
		all = append(all, sentence{Level: "ok", Tag: say("Review"), Text: say("Restaurants that wait for your decision: %s"), Args: []any{reviews}, Path: "/review", More: say("Review")})
	}
	for i, x := range all {
		if x.Path != "" && !s.serves(x.Path) {
			all[i].Path = ""
		}
	}
	rank := map[string]int{"bad": 0, "warn": 1, "ok": 2, "idle": 3}
	slices.SortStableFunc(all, func(a, b sentence) int { return cmp.Compare(rank[a.Level], rank[b.Level]) })
	return all, nil
}

// broke is what stands still until a person has done something.
func (s *Server) broke(ctx context.Context) (all []sentence, err error) {
	damage, err := s.Store.Damage(ctx)
	if err != nil {
		return nil, err
	}
	if damage != "" {
		all = append(all, sentence{Level: "bad", Tag: say("Stopped"), Text: say("The state file is damaged."), Detail: damage})
	}
	stops, err := s.Store.Stops(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range stops {
		all = append(all, sentence{Level: "bad", Tag: say("Stopped"), Text: say("%s has been waiting for you since %s. Set right what is wrong, then start sumbi again."), Args: []any{x.Lane, x.At}}.because(x.Reason))
	}
	return all, nil
}

// logins is whose log-in is not accepted any more: nothing is asked for them until they hand in a new one.
func (s *Server) logins(ctx context.Context) ([]sentence, error) {
	dead, err := s.Store.DeadLogins(ctx)
	if err != nil || len(dead) == 0 {
		return nil, err
	}
	var names []string
	for _, l := range dead {
		names = append(names, l.Target)
	}
	return []sentence{{
		Level: "bad", Tag: say("Log-in"), Text: say("Log-ins that are not accepted any more: %s. Nothing is asked for these users until new ones are handed in."), Args: []any{len(names)},
		Detail: someOf(names), Path: "/velog", More: say("Show"),
	}}, nil
}

// waits is what waits for money or for an upstream, and what of an upstream cannot be read any more.
func (s *Server) waits(ctx context.Context) (all []sentence, err error) {
	budgets, err := jobs.BudgetWaits(ctx, s.Store)
	if err != nil {
		return nil, err
	}
	for _, b := range budgets {
		all = append(all, sentence{Level: "warn", Tag: say("Budget"), Text: say("%s: work that waits for money: %s"), Args: []any{b.Pipeline, b.Jobs}}.because(b.Reason))
	}
	outages, err := s.Store.Outages(ctx)
	if err != nil {
		return nil, err
	}
	broken, err := s.Store.BrokenLists(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range broken {
		all = append(all, sentence{
			Level: "warn", Tag: say("Fails"), Text: say("%s: the %s of %s of %s records could not be read in several runs in a row."),
			Args: []any{l.Pipeline, l.List, l.Failing, l.Failing + l.Read}, Detail: l.Note, Path: "/velog", More: say("Show"),
		})
	}
	for _, o := range outages {
		all = append(all, sentence{Level: "warn", Tag: say("Outage"), Text: say("%s has not answered since %s."), Args: []any{o.Upstream, o.Since}}.because(o.Reason))
	}
	return all, nil
}

// limits is what the limits of the upstreams hold back.
func (s *Server) limits(ctx context.Context) (all []sentence, err error) {
	limits, err := s.Store.Limits(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range limits {
		switch {
		case l.Stopped:
			all = append(all, sentence{Level: "bad", Tag: say("Key"), Text: say("The key %s is not used until the next start."), Args: []any{l.Name}}.because(l.Reason))
		case l.HeldUntil.Sub(s.Store.Now()) > shortHold:
			all = append(all, sentence{Level: "warn", Tag: say("Limit"), Text: say("No calls with %s until %s."), Args: []any{l.Name, l.HeldUntil}}.because(l.Reason))
		case l.Guard > slowGuard && l.PerSecond > 0:
			all = append(all, sentence{
				Level: "idle", Tag: say("Slow"), Text: say("%s refused faster calls: %.1f a second are made, its limit is %g. If that is over, `sumbi run --release PIPELINE` forgets it."),
				Args: []any{l.Name, l.PerSecond / (1 + l.Guard.Seconds()), l.PerSecond},
			})
		}
	}
	return all, nil
}

// shownNames is how many accounts a sentence names.
const shownNames = 5

// accounts is what became of accounts.
func (s *Server) accounts(ctx context.Context) (all []sentence, err error) {
	troubles, err := s.Store.Troubles(ctx)
	if err != nil {
		return nil, err
	}
	news, err := s.Store.AccountNews(ctx)
	if err != nil {
		return nil, err
	}
	named := map[string][]string{}
	for _, t := range troubles {
		named[t.State] = append(named[t.State], t.Target)
	}
	for _, n := range news {
		if !n.Silent.IsZero() {
			named["silent"] = append(named["silent"], n.Target)
		}
	}
	for _, x := range []struct{ state, text string }{
		{"gone", say("Accounts that are gone: %s")},
		{"private", say("Accounts that are private: %s")},
		{"silent", say("Accounts with nothing new for far longer than usual: %s")},
	} {
		if names := named[x.state]; len(names) > 0 {
			all = append(all, sentence{Level: "warn", Tag: say("Accounts"), Text: x.text, Args: []any{len(names)}, Detail: someOf(names), Path: "/accounts?state=" + x.state, More: say("Show")})
		}
	}
	return all, nil
}

func someOf(names []string) string {
	if len(names) <= shownNames {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:shownNames], ", ") + " …"
}

// leftovers is what was given up, missed, or could not be told.
func (s *Server) leftovers(ctx context.Context) (all []sentence, err error) {
	a, err := s.Store.Attention(ctx)
	if err != nil {
		return nil, err
	}
	if n := a.DeadJobs + a.DeadQuestions; n > 0 {
		all = append(all, sentence{Level: "warn", Tag: say("Given up"), Text: say("Work that was given up: %s"), Args: []any{n}, Path: "/dead/retry", More: say("Try again"), Ask: true})
	}
	if a.Gaps > 0 {
		x := sentence{Level: "warn", Tag: say("Gaps"), Text: say("Lists or accounts that were not seen whole: %s. The next run reads them again."), Args: []any{a.Gaps}, Path: "/accounts?state=gap", More: say("Show")}
		if g, err := s.Store.WorstGap(ctx); err == nil {
			x.Detail = strings.TrimSpace(g.Target+" "+g.List) + ": " + g.Note
		}
		all = append(all, x)
	}
	if a.Untold > 0 && s.Store.Now().Sub(a.UntoldSince) > untoldFor {
		all = append(all, sentence{Level: "warn", Tag: say("Notices"), Text: say("Notices that could not be sent to SUMBI_NOTIFY_URL: %s, since %s. The log says why."), Args: []any{a.Untold, a.UntoldSince}})
	}
	if n, at := s.refusedWebhooks.read(); n > 0 {
		all = append(all, sentence{Level: "warn", Tag: say("Webhook"), Text: say("Webhooks refused since the start: %s, the last one %s. Their signature does not fit OPENAI_WEBHOOK_SECRET."), Args: []any{n, at}})
	}
	return all, nil
}
