package jobs

import (
	"slices"

	"sumbi/queue"
)

// recount gives the target's other lists that wait their place now that the upstream's count has become known.
func (p *Pipeline) recount(tx *queue.Tx, w queue.Walk, total int) error {
	others, err := tx.Siblings(w)
	if err != nil {
		return err
	}
	for _, o := range others {
		if n := p.left(o, total); n != p.left(o, 0) {
			if err := tx.Reprioritize(pageKey(o), n); err != nil {
				return err
			}
		}
	}
	return nil
}

// unknown is the priority of a list whose length nobody knows yet: its first page may tell.
const unknown = 1 << 20

// left estimates how many pages a walk still has. The longest goes first, because pages of one list come one by one. total is
// the upstream's own count for the whole target: no list is longer. It stands for each of them, because a long list that is
// taken for a short one costs far more time than the other way round.
func (p *Pipeline) left(w queue.Walk, total int) int {
	switch {
	case !w.Whole && !w.Mark.IsZero():
		return news(w)
	case w.Expected > 0:
		return max(w.Expected-w.Pages, 1)
	case total > 0:
		size := max(p.PageSize, 1)
		return max((total+size-1)/size-w.Pages, 1)
	default:
		// Fewest pages first. Of those not yet begun the first list of each target: it may tell the length of all.
		return max(unknown-w.Pages*len(p.Lists)-max(slices.Index(p.Lists, w.List), 0), 1)
	}
}

// news estimates how many pages a walk that ends at its mark still has: few, unless the pages so far say by their dates that
// the mark is far away.
func news(w queue.Walk) int {
	seen, rest := w.Newest.Sub(w.Oldest), w.Oldest.Sub(w.Mark)
	if w.Pages == 0 || seen <= 0 || rest <= 0 {
		return 1
	}
	return int(min(max(float64(w.Pages)*float64(rest)/float64(seen), 1), max(float64(w.Expected-w.Pages), 1)))
}
