// Package match is the choice of the one right place among what a search found, or of none.
// Its functions are pure: no network, no clock, no state but tables that are read once.
//
// A mention and a candidate are compared in discrete levels (how the names agree, the addresses, the area, the branch,
// the Instagram location), each level has a weight fitted to labelled cases, and the sum becomes a probability. What
// the other candidates say is part of it: a chain without any hint of the branch is no place at all.
package match

// Location is the place tag of a post. Lat and Lng are degrees, WGS84, both 0 when unknown.
type Location struct {
	Name     string
	Lat, Lng float64
}

// Mention is a restaurant as a caption writes it; what the caption does not say is empty.
type Mention struct {
	Name, Branch, Address, Area string
	Menu                        []string
	Phone                       string
	Location                    *Location // the post's own location tag
}

// Scored is one candidate with its probability of being the place that is meant.
type Scored struct {
	Index int     // position in the candidates given to Decide
	Score float64 // 0 to 1
	Why   string  // the comparison in words: "name equal; branch 성수점 against none; road address differs by 2 numbers"
}

// State is what became of a mention.
type State string

// The states of a decision. Review is too uncertain to be taken and too good to be dropped.
const (
	Place  State = "place"
	None   State = "none"
	Review State = "review"
)

// Decision is the answer for one mention.
type Decision struct {
	State  State
	Index  int      // of the chosen candidate; for Review of the one to look at; -1 with None
	Pick   int      // what is chosen where nobody reviews, place or none; -1 none
	Score  float64  // of that candidate, else of the best
	Scored []Scored // every candidate, best first
	Reason string   // one sentence

	Compared int // pairs of names that were compared: the work it took
}
