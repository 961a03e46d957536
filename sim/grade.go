package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report grades a run. A mention counts once for each post and place.
type Report struct {
	PostsExpected, PostsFound   int
	PostsMissing, PostsExtra    []string // ids, sorted
	MentionsExpected            int      // places that the captions name and the map has
	MentionsRight               int
	MentionsWrong               int // chosen, but not named in that post
	MentionsMissed              int
	PlacesExpected, PlacesFound int      // distinct; PlacesFound counts the right ones
	Examples                    []string // some of what is wrong or missed, for people: "wrong: …", "missed: …"
}

// Perfect reports whether there is nothing to complain about.
func (r Report) Perfect() bool {
	return len(r.PostsMissing) == 0 && len(r.PostsExtra) == 0 && r.MentionsWrong == 0 && r.MentionsMissed == 0
}

// Precision is the share of the chosen places that are right; 1 when none was chosen.
func (r Report) Precision() float64 { return share(r.MentionsRight, r.MentionsRight+r.MentionsWrong) }

// Recall is the share of the named places that were found; 1 when none is named.
func (r Report) Recall() float64 { return share(r.MentionsRight, r.MentionsExpected) }

func share(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

// placeKey identifies a place by name and road address, however the two maps print them.
func placeKey(name, road string) string {
	words := strings.Fields(road)
	if len(words) > 0 {
		switch words[0] = strings.NewReplacer("특별자치도", "", "특별자치시", "", "특별시", "", "광역시", "").Replace(words[0]); words[0] {
		case "경기도":
			words[0] = "경기"
		case "경상북도":
			words[0] = "경북"
		}
	}
	// What follows the house number is a floor or a door.
	for i, w := range words {
		if i > 2 && w[0] >= '0' && w[0] <= '9' {
			words = words[:i+1]
			break
		}
	}
	return compact(name) + "|" + strings.Join(words, " ")
}

// Grade compares what a run found with the truth as it is now. posts are the ids that it stored, found the places that
// it chose for each post; of a place only Name and RoadAddress are looked at, as Naver or as Kakao prints them. Posts that
// have been deleted count neither way.
func (s *Server) Grade(posts []string, found map[string][]Place) Report {
	truth, gone := s.Posts(), s.deleted()
	r := Report{PostsExpected: len(truth)}
	stored := map[string]bool{}
	for _, id := range posts {
		if stored[id] {
			continue
		}
		stored[id] = true
		if _, ok := truth[id]; ok {
			r.PostsFound++
		} else if !gone[id] {
			r.PostsExtra = append(r.PostsExtra, id)
		}
	}
	expectedPlaces, foundPlaces := map[*Place]bool{}, map[*Place]bool{}
	note := func(format string, a ...any) {
		if len(r.Examples) < 20 {
			r.Examples = append(r.Examples, fmt.Sprintf(format, a...))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(truth)) {
		if !stored[id] {
			r.PostsMissing = append(r.PostsMissing, id)
		}
		want := map[*Place]Mention{}
		for _, m := range truth[id].Mentions {
			if m.Place != nil {
				want[m.Place] = m
				expectedPlaces[m.Place] = true
			}
		}
		r.MentionsExpected += len(want)
		hit := map[*Place]bool{}
		wrong := map[string]bool{}
		for _, got := range found[id] {
			p := choose(want, got)
			key := placeKey(got.Name, got.RoadAddress)
			switch {
			case p == nil && !wrong[key]:
				wrong[key] = true
				note("wrong: post %s got %s (%s)", id, got.Name, got.RoadAddress)
			case p != nil:
				hit[p], foundPlaces[p] = true, true
			}
		}
		r.MentionsRight += len(hit)
		r.MentionsWrong += len(wrong)
		for p, m := range want {
			if !hit[p] {
				r.MentionsMissed++
				note("missed: post %s names %s %s: %s (%s)", id, m.Name, m.Branch, p.Name, p.RoadAddress)
			}
		}
	}
	for id, places := range found { // posts that do not exist name nothing
		if _, ok := truth[id]; !ok && !gone[id] {
			r.MentionsWrong += len(places)
		}
	}
	r.PlacesExpected, r.PlacesFound = len(expectedPlaces), len(foundPlaces)
	slices.Sort(r.PostsExtra)
	return r
}

// choose finds the expected place that got is; nil when it is none of them.
func choose(want map[*Place]Mention, got Place) *Place {
	for p := range want {
		for _, name := range []string{p.Name, p.kakaoName} {
			if placeKey(name, p.RoadAddress) == placeKey(got.Name, got.RoadAddress) {
				return p
			}
		}
	}
	return nil
}

// String is a table for a terminal.
func (r Report) String() string {
	var b strings.Builder
	row := func(what string, expected, good int, rest string) {
		fmt.Fprintf(&b, "%-10s %8d of %-8d %s\n", what, good, expected, rest)
	}
	row("posts", r.PostsExpected, r.PostsFound, fmt.Sprintf("missing %d, extra %d", len(r.PostsMissing), len(r.PostsExtra)))
	row("mentions", r.MentionsExpected, r.MentionsRight, fmt.Sprintf("missed %d, wrong %d, precision %.3f, recall %.3f", r.MentionsMissed, r.MentionsWrong, r.Precision(), r.Recall()))
	row("places", r.PlacesExpected, r.PlacesFound, "")
	return b.String()
}
