package sim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Lengths are the exact lengths of the lists of an account, in pages of 12 items. The shorter list shows some of the posts
// of the longer one.
type Lengths struct{ Posts, Reels int }

// ParseLengths reads what a command line says of several accounts: "30x15,8x2" is two of them, posts by reels.
func ParseLengths(s string) ([]Lengths, error) {
	var all []Lengths
	for one := range strings.SplitSeq(s, ",") {
		posts, reels, ok := strings.Cut(one, "x")
		p, err1 := strconv.Atoi(posts)
		r, err2 := strconv.Atoi(reels)
		if !ok || err1 != nil || err2 != nil || p < 0 || r < 0 || p+r == 0 {
			return nil, fmt.Errorf("%q is no pair of lengths like 30x15, pages of posts by pages of reels", one)
		}
		all = append(all, Lengths{p, r})
	}
	return all, nil
}

// fill gives an account lists of exactly these lengths. Nothing is pinned and nothing shared, so that no page is short.
func (w *world) fill(rng *rand.Rand, a *account, l Lengths, epoch time.Time) {
	grid, reels := l.Posts*pageSize, l.Reels*pageSize
	n := max(grid, reels)
	gap := min(60*time.Hour, 8*365*24*time.Hour/time.Duration(n))
	// among spreads k of n evenly.
	among := func(i, k int) bool { return (i+1)*k/n > i*k/n }
	for i := range n {
		t := epoch.Add(-time.Duration(i+1) * gap).Truncate(time.Second)
		p := &post{owner: a, takenAt: t, form: 1, salt: rng.Uint64()}
		if !w.mute {
			p.caption = w.write(rng, a.voice)
		}
		for p.pk == 0 || w.posts[p.pk] != nil {
			p.pk = mediaID(t, rng.Int64())
		}
		w.posts[p.pk] = p
		if among(i, reels) {
			p.form = 2
			a.reels = append(a.reels, p)
		}
		if among(i, grid) {
			a.grid = append(a.grid, p)
		}
	}
}
