package jobs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// VelogResult is what came of a user's turn. It is kept as its words, which ReadVelogResult reads again.
type VelogResult struct {
	Listed    bool   // the list of posts was read
	Rests     bool   // it is left alone for a while
	Why       string // it was not read
	Read      int    // statistics of so many posts
	Failed    int    // those keep their last numbers
	FailedWhy string // the last of them
	Resting   int    // are left alone for a while
	Missing   int    // are no longer in the list and kept, because they are more than half
}

// The words of a VelogResult.
const (
	velogListed    = "posts listed"
	velogUnlisted  = "posts NOT listed: %s"
	velogListRests = "posts NOT listed, they are left alone for a while: %s"
	velogRead      = "statistics of %d read"
	velogFailed    = "%d failed and keep their last numbers (%s)"
	velogResting   = "%d are left alone for a while"
	velogMissing   = "%d that the list does not show any more are kept, because they are more than half"
)

// Words puts the result together from its parts, each in the words that in gives for it.
func (r VelogResult) Words(in func(text string, args ...any) string) string {
	text := in(velogListed)
	switch {
	case r.Listed:
	case r.Rests:
		text = in(velogListRests, r.Why)
	default:
		text = in(velogUnlisted, r.Why)
	}
	text += "; " + in(velogRead, r.Read)
	if r.Failed > 0 {
		text += ", " + in(velogFailed, r.Failed, r.FailedWhy)
	}
	if r.Resting > 0 {
		text += ", " + in(velogResting, r.Resting)
	}
	if r.Missing > 0 {
		text += "; " + in(velogMissing, r.Missing)
	}
	return text
}

func (r VelogResult) String() string {
	return r.Words(func(text string, args ...any) string {
		if len(args) == 0 {
			return text
		}
		return fmt.Sprintf(text, args...)
	})
}

var velogResult = sync.OnceValue(func() *regexp.Regexp {
	form := func(text string) string {
		return strings.NewReplacer("%s", "(.*)", "%d", `(\d+)`).Replace(strings.NewReplacer("(", `\(`, ")", `\)`).Replace(text))
	}
	return regexp.MustCompile(`(?s)^(?:(` + form(velogListed) + `)|` + form(velogListRests) + `|` + form(velogUnlisted) + `); ` + form(velogRead) +
		`(?:, ` + form(velogFailed) + `)?(?:, ` + form(velogResting) + `)?(?:; ` + form(velogMissing) + `)?$`)
})

// ReadVelogResult reads the words of a result; false when they are others, such as why a log-in is dead.
func ReadVelogResult(text string) (r VelogResult, ok bool) {
	m := velogResult().FindStringSubmatch(text)
	if m == nil {
		return r, false
	}
	n := func(i int) int {
		n, _ := strconv.Atoi(m[i]) // digits, or nothing
		return n
	}
	r = VelogResult{Listed: m[1] != "", Rests: strings.HasPrefix(text, strings.TrimSuffix(velogListRests, "%s")), Why: m[2] + m[3], Read: n(4), Failed: n(5), FailedWhy: m[6], Resting: n(7), Missing: n(8)}
	return r, true
}
