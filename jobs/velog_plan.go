package jobs

import (
	"context"
	"slices"

	"sumbi/queue"
)

// Turns forecasts one turn of each user.
type Turns struct {
	Users    int
	Posts    int // whose statistics are asked for
	Requests int
	Dead     []string // users whose log-in is not accepted any more
	Without  []string // users without one
	Unknown  []string // users who had no turn yet; two requests stand for them
}

// PlanTurns forecasts one turn of each user of a pipeline. No targets are all who have logged in.
func PlanTurns(ctx context.Context, s *queue.Store, pipeline string, targets []string) (Turns, error) {
	var t Turns
	members, err := s.Members(ctx, pipeline)
	if err != nil {
		return t, err
	}
	walks, err := s.Reaches(ctx, pipeline)
	if err != nil {
		return t, err
	}
	if len(targets) > 0 {
		if targets, err = Users(ctx, s, pipeline, targets)(); err != nil {
			return t, err
		}
	}
	for _, n := range targets {
		if !slices.ContainsFunc(members, func(m queue.Member) bool { return m.Target == n && !m.Login.Created.IsZero() }) {
			t.Without = append(t.Without, n)
		}
	}
	for _, m := range members {
		switch {
		case len(targets) > 0 && !slices.Contains(targets, m.Target), m.Login.Created.IsZero():
			continue
		case !m.Login.Dead.IsZero():
			t.Dead = append(t.Dead, m.Target)
			continue
		}
		t.Users++
		t.Requests++ // whose session it is
		i := slices.IndexFunc(walks, func(w queue.Reach) bool { return w.Target == m.Target && w.List == "posts" })
		if i < 0 {
			t.Unknown = append(t.Unknown, m.Target)
			t.Requests++
			continue
		}
		t.Requests += max(walks[i].Expected, 1)
		held, err := s.Records(ctx, pipeline, m.Target, VelogPosts)
		if err != nil {
			return t, err
		}
		for _, h := range held {
			if h.Gone.IsZero() {
				t.Posts++
			}
		}
	}
	t.Requests += t.Posts
	return t, nil
}
