package web

import (
	"regexp"
	"strings"

	"sumbi/adapters"
)

// plainWords say what an error means for who does not know the code. The first that fits is taken.
var plainWords = []struct {
	when *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`^budget: |^the budget of .* (is|was) used up`), say("What may be spent is used up: [budget] in sumbi.toml says how much that is.")},
	{regexp.MustCompile(`^panic: `), say("This is a mistake in sumbi itself. The other jobs go on; the log has the details.")},
	{regexp.MustCompile(`the process ended while this job ran alone`), say("Each time this job ran alone, the process died. It is left alone so that the others can go on.")},
	{regexp.MustCompile(`^the process stopped|the state did not answer`), say("sumbi stopped before it was done. It is done again.")},
	{regexp.MustCompile(`dropped by hand`), say("Somebody has dropped it.")},
	{regexp.MustCompile(`^there is no (job|dead question) `), say("It is not there any more.")},
	{regexp.MustCompile(`^job \d+ is running`), say("It is under way just now. Wait until it has ended.")},
	{regexp.MustCompile(`no such file or directory`), say("A file that the configuration names is not there.")},
	{regexp.MustCompile(`drop its jobs`), say("The configuration no longer has what it is for. Drop it, or put it back into the configuration.")},
	{regexp.MustCompile(`belongs to another account now`), say("The name belongs to somebody else now, so nothing of it is collected.")},
	{regexp.MustCompile(`is private`), say("The account is private and shows nothing.")},
	{regexp.MustCompile(`has a page job already|already does the same work`), say("Another job does the same work.")},
	{regexp.MustCompile(`the page is refused`), say("The upstream no longer knows where the list was left. The walk begins again at the first page.")},
	{regexp.MustCompile(`same page again|in circles`), say("The upstream goes in circles: it gives pages that were there already.")},
	{regexp.MustCompile(`content[ _]filter`), say("The answer was stopped by a filter of the upstream.")},
	{regexp.MustCompile(`is stopped|stopped until the next start`), say("The key is not used any more until sumbi starts again. Look at the overview for the reason.")},
	{regexp.MustCompile(`it does not answer; `), say("The upstream does not answer anybody. One call at a time looks whether it does again.")},
	{regexp.MustCompile(`it asks to be left alone until `), say("The upstream is away and says until when. A call an hour looks whether it is back before.")},
	{regexp.MustCompile(`the model refused|refus(ed|al) to answer`), say("The model refused to answer.")},
	{regexp.MustCompile(`cannot be put into a batch`), say("The text of the post cannot be put to the model.")},
	{regexp.MustCompile(`leads to .* a private address`), say("The address leads into a private network. Correct base_url, or allow it.")},
	{regexp.MustCompile(`\b429\b|[Tt]oo many requests|rate limit|is free in `), say("The upstream asks for fewer calls. It is tried again later and counts as no attempt.")},
	{regexp.MustCompile(`\b401\b|[Uu]nauthorized|[Ii]nvalid API key|API key`), say("The upstream does not accept the key.")},
	{regexp.MustCompile(`\b402\b|insufficient_quota|quota`), say("What the key may ask for is used up.")},
	{regexp.MustCompile(`\b403\b|[Ff]orbidden`), say("The key may not ask for this. Look at its plan and its rights.")},
	{regexp.MustCompile(`\b404\b|[Nn]ot [Ff]ound`), say("What was asked for is not there.")},
	{regexp.MustCompile(`\b413\b|too large|larger than|context_length`), say("It is larger than the limit.")},
	{regexp.MustCompile(`no answer within|deadline exceeded|[Tt]imeout|\b504\b|\b408\b`), say("The upstream did not answer in time.")},
	{regexp.MustCompile(`connection refused|no such host|connection reset|network is unreachable|no route to host|not reached|dial tcp|certificate|: EOF$`), say("The upstream cannot be reached.")},
	{regexp.MustCompile(`\b5\d\d\b`), say("The upstream has trouble of its own.")},
	{regexp.MustCompile(`cut short|breaks off|unexpected EOF|no answer came`), say("The answer came incomplete.")},
	{regexp.MustCompile(`not the JSON expected|not what was asked for|has no |: no status$|is not valid|has an unknown|is none of|invalid character|none of \d+ items|is no `), say("The answer is not what was asked for.")},
	{regexp.MustCompile(`\b400\b|\b422\b|[Bb]ad [Rr]equest`), say("The upstream did not understand the request.")},
	{regexp.MustCompile(`duplicate key|E11000`), say("The sink has another record where this one belongs.")},
}

// inWords is an error in plain words of a language where there are some, and itself.
func inWords(lang, err string) string {
	if p := plain(err); p != "" {
		return word(lang, p) + " (" + err + ")"
	}
	return err
}

// reasonWords say what the words mean that a limit keeps of why it is held.
var reasonWords = map[string]string{
	adapters.ReasonRate:  say("The upstream asks for fewer calls. It is tried again later and counts as no attempt."),
	adapters.ReasonQuota: say("What the key may ask for is used up."),
	adapters.ReasonKey:   say("The upstream does not accept the key."),
	adapters.ReasonPlan:  say("The key may not ask for this. Look at its plan and its rights."),
	adapters.ReasonPath:  say("The address of the upstream is wrong. Correct base_url."),
}

// meaning is plain for what stands still: why a credential is stopped, and not that it is. What is all in the words needs no detail.
func meaning(reason string) (words, detail string) {
	if w := reasonWords[reason]; w != "" {
		return w, ""
	}
	_, why, stopped := strings.Cut(reason, "stopped until the next start: ")
	if !stopped {
		why = reason
	}
	return plain(why), reason
}

// plain says in plain words what an error means; "" when only the error itself does.
func plain(err string) string {
	for _, p := range plainWords {
		if p.when.MatchString(err) {
			return p.text
		}
	}
	return ""
}
