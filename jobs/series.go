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

// AtMidnight is how far from the end of a day a look may be that tells how far a counter had come then. Every 10 to 15 minutes is
// looked, and statistics that took the upstream too long are left alone for an hour: one of the looks around is nearer.
const AtMidnight = time.Hour

// growth turns looks at a counter into what was counted on each day from first to last. A day's number is the difference between
// its end and that of the day before. How far the counter had come at the end of a day is known when somebody looked within
// AtMidnight of it, or when the looks before and after it found the same number and the counter never falls. A day with an end
// that is not known is unknown, and so is the day after it: whose the views between two looks are cannot be said. So is a day on
// which a counter went down that never falls: the upstream has counted anew. Of today it is what was counted so far. What the upstream itself says of a day goes before. born is the day on which the counter began at 0;
// "" unknown.
func growth(c queue.Counts, falls bool, born, first, last, today string) map[string]*int64 {
	out := map[string]*int64{}
	known := func(day string, n int64) {
		if day >= first && day <= last {
			out[day] = &n
		}
	}
	ends := endsOf(c.Snapshots, falls, born, addDays(first, -1), today)
	for day, n := range ends {
		if before, ok := ends[addDays(day, -1)]; ok && (falls || n >= before) {
			known(day, n-before)
		}
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

// endsOf is how far a counter had come at the end of each day from first on of which that is known; of today so far.
func endsOf(looks []queue.Snapshot, falls bool, born, first, today string) map[string]int64 {
	ends := map[string]int64{}
	if born != "" && len(looks) > 0 && looks[0].Day >= born {
		looks = append([]queue.Snapshot{{Day: addDays(born, -1), Seen: queue.DayBegins(born)}}, looks...)
	}
	for i, a := range looks {
		next := addDays(a.Day, 1)
		if a.Day == today || queue.DayBegins(next).Sub(a.Seen) <= AtMidnight {
			ends[a.Day] = a.N
		}
		if i+1 == len(looks) {
			break
		}
		b := looks[i+1]
		if !falls && a.N == b.First {
			for d := max(a.Day, first); d < b.Day; d = addDays(d, 1) {
				ends[d] = a.N
			}
			continue
		}
		before := addDays(b.Day, -1)
		if _, ok := ends[before]; !ok && b.At.Sub(queue.DayBegins(b.Day)) <= AtMidnight {
			ends[before] = b.First
		}
	}
	return ends
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
