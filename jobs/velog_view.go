package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// velogDays is how many days a document of MongoDB holds.
const velogDays = 366

// UserDays is a day of all posts of a user together.
type UserDays struct {
	Day
	Unknown int `json:"unknown"` // posts of which the views of the day are not known; they are not in the sum
}

// PostRow is a post with its newest numbers.
type PostRow struct {
	ID         string `json:"_id"`
	Title      string `json:"title"`
	URL        string `json:"url"`
	ReleasedAt string `json:"releasedAt"`
	Active     bool   `json:"active"` // false: the user's list does not show it any more
	Views      *int64 `json:"views"`  // in all; null while nobody knows
	Likes      *int64 `json:"likes"`
	Today      Day    `json:"today"`
	Yesterday  Day    `json:"yesterday"`
}

// PostDocument is a post with its days, as MongoDB holds it in postStats.
type PostDocument struct {
	PostRow
	User     string `json:"user"`
	Pipeline string `json:"-"`
	Days     []Day  `json:"days"`
}

// UserDocument is a user with everything that a dashboard draws of him, as MongoDB holds it in users.
type UserDocument struct {
	ID             string     `json:"_id"`
	UserID         string     `json:"userId"` // velog's own
	AttemptedAt    *string    `json:"attemptedAt"`
	Result         string     `json:"result"`
	TokenDeadSince *string    `json:"tokenDeadSince"`
	Posts          int        `json:"posts"` // active ones
	Views          *int64     `json:"views"` // of all of them, as far as it is known
	Likes          *int64     `json:"likes"`
	Today          UserDays   `json:"today"`
	Yesterday      UserDays   `json:"yesterday"`
	Days           []UserDays `json:"days"`
	PostList       []PostRow  `json:"postList"`
}

// Span is which days are asked for.
type Span struct {
	First, Last string
	Today       string
	Kept        string // the first day of which everything is kept; "" all
}

// reach is from when till when numbers are needed: the newest ones are always those of today and yesterday.
func (s Span) reach() (first, last string) {
	return max(min(s.First, addDays(s.Today, -1)), s.Kept), max(s.Last, s.Today)
}

// since is from when looks are needed: the end of the day before the first is told by those of that day.
func (s Span) since() string {
	first, _ := s.reach()
	return addDays(first, -1)
}

// addTo adds n to a sum that may be unknown still.
func addTo(sum **int64, n *int64) {
	if n == nil {
		return
	}
	if *sum == nil {
		*sum = new(int64)
	}
	**sum += *n
}

// velogCounted is a post with its counters.
type velogCounted struct {
	row          PostRow
	born         string
	views, likes map[string]*int64
}

func (v velogCounted) day(day string) Day {
	return Day{Day: day, Views: v.views[day], Likes: v.likes[day]}
}

func countedPost(h queue.Held, views, likes *queue.Counts, span Span) (velogCounted, error) {
	p, err := readVelogPost(h.Stored)
	if err != nil {
		return velogCounted{}, err
	}
	if views == nil {
		views = &queue.Counts{}
	}
	if likes == nil {
		likes = &queue.Counts{}
	}
	v := velogCounted{born: queue.Day(p.Released)}
	if p.Released.IsZero() {
		v.born = ""
	}
	first, last := span.reach()
	v.views, v.likes = growth(*views, false, v.born, first, last, span.Today), growth(*likes, true, v.born, first, last, span.Today)
	v.row = PostRow{
		ID: h.Key, Title: p.Title, URL: p.URL, ReleasedAt: p.Released.UTC().Format(documentTime), Active: h.Gone.IsZero(),
		Views: total(*views), Likes: total(*likes), Today: v.day(span.Today), Yesterday: v.day(addDays(span.Today, -1)),
	}
	return v, nil
}

// VelogUser composes what is known of a user, with the days of a span.
func VelogUser(ctx context.Context, s *queue.Store, m queue.Member, span Span) (UserDocument, error) {
	d := UserDocument{ID: m.Target, UserID: m.Login.UID, Result: m.Result, Days: []UserDays{}, PostList: []PostRow{}, AttemptedAt: moment(m.Tried), TokenDeadSince: moment(m.Login.Dead)}
	pipeline := m.Login.Pipeline
	held, err := s.Records(ctx, pipeline, m.Target, VelogPosts)
	if err != nil {
		return d, err
	}
	since := span.since()
	views, err := s.CountsOf(ctx, pipeline, m.Target, VelogPosts, countViews, since)
	if err != nil {
		return d, err
	}
	likes, err := s.CountsOf(ctx, pipeline, m.Target, VelogPosts, countLikes, since)
	if err != nil {
		return d, err
	}
	sums := map[string]*UserDays{}
	for day := min(span.First, addDays(span.Today, -1)); day <= max(span.Last, span.Today); day = addDays(day, 1) {
		sums[day] = &UserDays{Day: Day{Day: day}}
	}
	for _, h := range held {
		v, err := countedPost(h, views[h.ID], likes[h.ID], span)
		if err != nil {
			return d, err
		}
		d.PostList = append(d.PostList, v.row)
		if v.row.Active {
			d.Posts++
			addTo(&d.Views, v.row.Views)
			addTo(&d.Likes, v.row.Likes)
		}
		for day, sum := range sums {
			addTo(&sum.Views, v.views[day])
			addTo(&sum.Likes, v.likes[day])
			if v.views[day] == nil && v.born <= day && v.row.Active {
				sum.Unknown++
			}
		}
	}
	for day := span.First; day <= span.Last; day = addDays(day, 1) {
		d.Days = append(d.Days, *sums[day])
	}
	d.Today, d.Yesterday = *sums[span.Today], *sums[addDays(span.Today, -1)]
	return d, nil
}

// VelogPost composes what is known of a pipeline's post, with the days of a span.
func VelogPost(ctx context.Context, s *queue.Store, key string, span Span) (PostDocument, error) {
	h, err := s.Record(ctx, VelogPosts, key)
	if err != nil {
		return PostDocument{}, err
	}
	since := span.since()
	views, err := s.CountsOfRecord(ctx, h.ID, countViews, since)
	if err != nil {
		return PostDocument{}, err
	}
	likes, err := s.CountsOfRecord(ctx, h.ID, countLikes, since)
	if err != nil {
		return PostDocument{}, err
	}
	v, err := countedPost(h, &views, &likes, span)
	if err != nil {
		return PostDocument{}, err
	}
	d := PostDocument{PostRow: v.row, User: h.Target, Pipeline: h.Pipeline, Days: []Day{}}
	for day := span.First; day <= span.Last; day = addDays(day, 1) {
		d.Days = append(d.Days, v.day(day))
	}
	return d, nil
}

func moment(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(documentTime)
	return &text
}

// VelogSink delivers users and posts to a sink. keep is for how many days counts are kept; 0 for ever.
func VelogSink(store *queue.Store, name, pipeline string, keep int, sink adapters.Sink) Sink {
	return Sink{Name: name, Sink: sink, Streams: []string{VelogPosts}, Document: func(ctx context.Context, stream, key string) (adapters.Record, error) {
		rec := adapters.Record{Stream: stream, Key: key, Time: store.Now()}
		today := queue.Day(rec.Time)
		span := Span{First: addDays(today, 1-velogDays), Last: today, Today: today, Kept: keptSince(today, keep)}
		var doc any
		var err error
		if stream == VelogUsers {
			doc, err = velogMember(ctx, store, pipeline, key, span)
		} else {
			doc, err = velogPostDocument(ctx, store, key, span)
		}
		if errors.Is(err, queue.ErrNotFound) {
			return rec, nil
		}
		if err != nil {
			return rec, err
		}
		rec.Data, err = json.Marshal(doc)
		return rec, err
	}}
}

func velogMember(ctx context.Context, store *queue.Store, pipeline, target string, span Span) (UserDocument, error) {
	m, err := store.Member(ctx, pipeline, target)
	if err != nil {
		return UserDocument{}, err
	}
	d, err := VelogUser(ctx, store, m, span)
	for len(d.Days) > 0 && d.Days[0].Views == nil && d.Days[0].Likes == nil {
		d.Days = d.Days[1:] // nothing is known that far back
	}
	return d, err
}

func velogPostDocument(ctx context.Context, store *queue.Store, key string, span Span) (PostDocument, error) {
	d, err := VelogPost(ctx, store, key, span)
	for len(d.Days) > 0 && d.Days[0].Views == nil && d.Days[0].Likes == nil {
		d.Days = d.Days[1:]
	}
	return d, err
}
