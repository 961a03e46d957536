package jobs

import (
	"slices"
	"time"

	"sumbi/queue"
)

// When a target counts as silent. Its habit is told from its newest records: nine of ten gaps between them are shorter than
// the gap that counts. Six times that is beyond any steady pace (for one that posts at random it happens once in a million
// gaps), and a month is beyond a holiday of one that posts daily. Fewer records are no habit.
const (
	habitRecords = 50
	habitLeast   = 10
	habitFactor  = 6
	silentLeast  = 30 * 24 * time.Hour
)

// lookBack notes, once all lists of a target have ended cleanly, how much they have shown and whether it is silent. The end of a
// silence needs one list only. A target that logs in has not moved: its silence is nobody's business.
func (p *Pipeline) lookBack(tx *queue.Tx, w queue.Walk) error {
	seen, err := tx.Seen(w.Pipeline, w.Target)
	if err != nil {
		return err
	}
	if !seen.Whole {
		return tx.EndSilence(w.Pipeline, w.Target, seen.Newest)
	}
	var silent time.Time
	if !p.logsIn() && tx.Now().Sub(seen.Newest) > silentLeast {
		times, err := tx.Times(w.Pipeline, w.Target, habitRecords)
		if err != nil {
			return err
		}
		silent = silentSince(times, tx.Now())
	}
	return tx.KeepSeen(w.Pipeline, w.Target, seen.Shown, silent)
}

// silentSince returns the newest of times when the silence since then is far beyond the habit that they show; else zero.
// times are sorted, the newest first.
func silentSince(times []time.Time, now time.Time) time.Time {
	if len(times) < habitLeast {
		return time.Time{}
	}
	gaps := make([]time.Duration, len(times)-1)
	for i := range gaps {
		gaps[i] = times[i].Sub(times[i+1])
	}
	slices.Sort(gaps)
	usual := gaps[(len(gaps)-1)*9/10]
	if now.Sub(times[0]) <= max(silentLeast, habitFactor*usual) {
		return time.Time{}
	}
	return times[0]
}
