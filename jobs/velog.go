package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sumbi/queue"
)

// The streams of velog, and what is counted of a post. The adapter writes the first two.
const (
	VelogPosts = "velog_post"
	velogStats = "velog_stats" // by the post's key
	VelogUsers = "velog_user"  // documents only
	countViews = "views"
	countLikes = "likes"
)

// How velog is asked.
const (
	velogStatsList = "stats"
	velogPage      = 50
	velogPatience  = time.Minute         // what is to wait longer is left to a later turn, so that it keeps nobody from his
	velogRenews    = time.Minute         // before a log-in is due, between our clock and the upstream's
	velogDetail    = 7                   // days for which each change within a day is kept
	velogRuns      = 30 * 24 * time.Hour // for which runs are kept
)

// velogPost is what is read of a post; the adapter writes it.
type velogPost struct {
	Title    string    `json:"title"`
	URL      string    `json:"url"`
	Released time.Time `json:"-"`
	Private  *bool     `json:"private"`
	Likes    *int64    `json:"likes"`
}

func readVelogPost(r queue.Stored) (velogPost, error) {
	p := velogPost{Released: r.Time}
	if err := json.Unmarshal(r.Data, &p); err != nil {
		return p, fmt.Errorf("stored post %s: %w", r.Key, err)
	}
	return p, nil
}

// Velog completes a pipeline that counts the views and likes of a user's posts. keep is for how many days; 0 for ever.
func Velog(p *Pipeline, keep int) *Pipeline {
	p.Lists, p.PageSize = []string{"posts"}, velogPage
	p.Whole, p.Patience, p.Renews = true, velogPatience, velogRenews
	p.Saved, p.Ended, p.Rested, p.Counts, p.Keep = p.count, p.counted, p.rested, VelogPosts, keep
	p.Members = VelogUsers
	p.Tidy = func(tx *queue.Tx) error {
		today := queue.Day(tx.Now())
		if err := tx.ThinSnapshots(p.Name, addDays(today, -velogDetail), p.KeptSince(today)); err != nil {
			return err
		}
		return tx.ForgetRuns(p.Name, tx.Now().Add(-velogRuns))
	}
	return p
}

// KeptSince is the first day of which counts are kept when it is today; "" all are.
func (p *Pipeline) KeptSince(today string) string { return keptSince(today, p.Keep) }

func keptSince(today string, keep int) string {
	if keep <= 0 {
		return ""
	}
	return addDays(today, -keep)
}

// count takes what a page says of counters, and tells the sinks of posts that have changed.
func (p *Pipeline) count(tx *queue.Tx, all []queue.Stored) error {
	for _, r := range all {
		count := p.countLikes
		if r.Stream == velogStats {
			count = p.countViews
		}
		if err := count(tx, r); err != nil {
			return fmt.Errorf("%s %s: %w", r.Stream, r.Key, err)
		}
		if !r.New && !r.Changed {
			continue
		}
		if err := p.tell(tx, VelogPosts, r.Key); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) countLikes(tx *queue.Tx, r queue.Stored) error {
	post, err := readVelogPost(r)
	if err != nil || post.Likes == nil {
		return err
	}
	return tx.Snap(r.ID, countLikes, tx.Now(), *post.Likes)
}

// countViews takes the statistics of a post, which are as old as the upstream says.
func (p *Pipeline) countViews(tx *queue.Tx, r queue.Stored) error {
	var stats struct {
		Total *int64 `json:"total"`
		Days  []struct {
			Day   string `json:"day"`
			Views int64  `json:"views"`
		} `json:"days"`
	}
	if err := json.Unmarshal(r.Data, &stats); err != nil {
		return fmt.Errorf("stored statistics: %w", err)
	}
	post, err := tx.RecordID(VelogPosts, r.Key)
	if err != nil {
		return err
	}
	if stats.Total != nil {
		if err := tx.Snap(post, countViews, r.Time, *stats.Total); err != nil {
			return err
		}
	}
	if !r.New && !r.Changed {
		return nil
	}
	for _, d := range stats.Days {
		if err := tx.CountDay(post, countViews, d.Day, d.Views); err != nil {
			return err
		}
	}
	return nil
}

// counted follows the end of a list: that of the posts begins the statistics of each, and the last of them ends the user's turn.
func (p *Pipeline) counted(tx *queue.Tx, w queue.Walk) error {
	var err error
	switch _, post := w.Of(); {
	case post == "":
		err = p.postsEnded(tx, w)
	case w.State == queue.WalkGone:
		err = p.postGone(tx, w, post)
	}
	if err != nil {
		return err
	}
	turn, err := tx.Turn(w)
	if err != nil || turn.Walking > 0 {
		return err
	}
	why, err := p.loggedOut(tx, w.Target)
	if err != nil {
		return err
	}
	if why == "" {
		if why, err = p.result(tx, w, turn); err != nil {
			return err
		}
	}
	if err := tx.NoteTarget(p.Name, w.Target, why); err != nil {
		return err
	}
	return p.tell(tx, VelogUsers, w.Target)
}

// postsEnded begins the statistics of every post that is there, also when the list could not be had: what it showed before is
// still counted.
func (p *Pipeline) postsEnded(tx *queue.Tx, w queue.Walk) error {
	if w.State == queue.WalkIdle {
		news, err := tx.Vanish(w, VelogPosts)
		if err != nil {
			return err
		}
		for _, key := range news {
			if err := p.tell(tx, VelogPosts, key); err != nil {
				return err
			}
		}
	}
	if why, err := p.loggedOut(tx, w.Target); err != nil || why != "" || w.State == queue.WalkGone {
		return err
	}
	return p.beginStats(tx, w)
}

// postGone follows statistics of a post that the upstream does not know. The post is gone when the list of posts, read in the same
// turn, does not show it either; else its statistics could not be read.
func (p *Pipeline) postGone(tx *queue.Tx, w queue.Walk, post string) error {
	posts, err := tx.List(p.Name, w.Target, p.Lists[0])
	if err != nil {
		return err
	}
	if posts.State == queue.WalkIdle && posts.Run == w.Run {
		gone, err := tx.MissRecord(posts, VelogPosts, post)
		if err != nil {
			return err
		}
		if gone {
			return p.tell(tx, VelogPosts, post)
		}
	}
	leave(&w, w.Note)
	return tx.Advance(&w)
}

// rested takes the place of the list of a target's posts in a turn in which that is left alone.
func (p *Pipeline) rested(tx *queue.Tx, r queue.Run, target string) error {
	w, err := tx.List(p.Name, target, p.Lists[0])
	if err != nil || w.State == queue.WalkWalking || w.Rest.IsZero() {
		return err
	}
	w.Run, w.Whole = r.ID, r.Whole
	return p.beginStats(tx, w)
}

// beginStats begins the statistics of every post that a list of posts has shown.
func (p *Pipeline) beginStats(tx *queue.Tx, w queue.Walk) error {
	posts, err := tx.Present(w, VelogPosts)
	if err != nil {
		return err
	}
	var lists []string
	for _, r := range posts {
		lists = append(lists, queue.ListOf(velogStatsList, r.Key))
	}
	walks, err := tx.Begin(queue.Run{ID: w.Run, Pipeline: w.Pipeline, Whole: w.Whole}, w.Target, lists)
	if err != nil {
		return err
	}
	for _, s := range walks {
		if _, err := tx.Add(p.pageJob(s, 1)); err != nil {
			return err
		}
	}
	return nil
}

// result says what came of a user's turn.
func (p *Pipeline) result(tx *queue.Tx, w queue.Walk, turn queue.Turn) (string, error) {
	posts, err := tx.List(p.Name, w.Target, p.Lists[0])
	if err != nil {
		return "", err
	}
	r := VelogResult{Listed: posts.State == queue.WalkIdle, Read: turn.Ended, Failed: turn.Failed, Resting: turn.Resting}
	switch {
	case r.Listed:
		r.Read--
	case posts.Run != w.Run:
		r.Rests, r.Why = true, posts.Note
	default:
		r.Why = posts.Note
		if posts.State != queue.WalkGone {
			r.Failed--
		}
	}
	if posts.Run != w.Run && posts.Rest.After(tx.Now()) {
		r.Resting--
	}
	if r.Failed > 0 {
		r.FailedWhy = turn.Note
	}
	if r.Listed {
		r.Missing = turn.Missing
	}
	return r.String(), nil
}

// Users returns a function for Pipeline.Targets: the users who are named, by the name that they first came with or go by now, else
// all who have logged in, the newest first.
func Users(ctx context.Context, store *queue.Store, pipeline string, named []string) func() ([]string, error) {
	return func() ([]string, error) {
		all, err := store.Logins(ctx, pipeline)
		if err != nil {
			return nil, err
		}
		renamed, err := store.Renamed(ctx, pipeline)
		if err != nil {
			return nil, err
		}
		var out []string
		for _, l := range all {
			if len(named) == 0 || slices.Contains(named, l.Target) || slices.Contains(named, renamed[l.Target]) {
				out = append(out, l.Target)
			}
		}
		// Of the others it is said that they have no log-in.
		for _, n := range named {
			if slices.ContainsFunc(out, func(t string) bool { return t == n || renamed[t] == n }) {
				continue
			}
			for t, name := range renamed {
				if name == n {
					n = t
					break
				}
			}
			out = append(out, n)
		}
		return out, nil
	}
}
