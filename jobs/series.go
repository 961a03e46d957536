package jobs

import (
	"time"

	"sumbi/queue"
)

// Day is what was counted on one Korean day. A number that nobody knows is nil, which is not 0.
type Day struct {
	Day   string `json:"day"`
	Views *int64 `json:"views"`
	Likes *int64 `json:"likes"` // fewer than the day before when it is negative
}

// growth turns snapshots of a counter into what was counted on each day from first to last. A day's number is the difference
// between its last snapshot and the last one of the day before, so that a first look late in a day loses nothing. After days
// without a snapshot the sum of the gap is known, but not whose it is: all of them are unknown, unless the counter never falls
// and the sum is 0. What the upstream itself says of a day goes before. born is the day on which the counter began at 0; ""
// unknown.
func growth(c queue.Counts, falls bool, born, first, last string) map[string]*int64 {
	out := map[string]*int64{}
	known := func(day string, n int64) {
		if day >= first && day <= last {
			out[day] = &n
		}
	}
	before, n := "", int64(0)
	if born != "" {
		before = addDays(born, -1)
	}
	for _, s := range c.Snapshots {
		if before != "" && before < s.Day {
			grown := s.N - n
			if addDays(before, 1) == s.Day {
				known(s.Day, grown)
			} else if grown == 0 && !falls {
				for d := max(addDays(before, 1), first); d <= s.Day && d <= last; d = addDays(d, 1) {
					known(d, 0)
				}
			}
		}
		before, n = s.Day, s.N
	}
	if len(c.Daily) == 0 {
		return out
	}
	// The upstream leaves out the days without any: what lies between the first of its days and the newest is known.
	from, to := "", ""
	for day := range c.Daily {
		if from == "" || day < from {
			from = day
		}
		to = max(to, day)
	}
	if born != "" {
		from = min(from, born)
	}
	for d := max(from, first); d <= to && d <= last; d = addDays(d, 1) {
		known(d, c.Daily[d])
	}
	return out
}

// addDays returns the day n days after day.
func addDays(day string, n int) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.AddDate(0, 0, n).Format(time.DateOnly)
}

// total is how far a counter has come; nil when nobody knows.
func total(c queue.Counts) *int64 {
	if len(c.Snapshots) == 0 {
		return nil
	}
	return &c.Snapshots[len(c.Snapshots)-1].N
}
