package velog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sumbi/adapters"
)

// place is where a list goes on. The servers show what was released before the post that a cursor names, so the second of two
// posts of one instant would be lost between two pages. The cursor is therefore the last post that is truly newer than the end of
// a page, and what is shown again for it is left out.
type place struct {
	Page  int       `json:"page"`  // of the page to be asked for, from 1
	After string    `json:"after"` // a post; "" is the top
	At    time.Time `json:"at"`    // when that was released
	Again []string  `json:"again"` // posts of the page before that come again
}

func parsePlace(c adapters.Cursor) (place, error) {
	if c == "" {
		return place{Page: 1}, nil
	}
	var p place
	if err := json.Unmarshal([]byte(c), &p); err != nil || p.Page < 2 || p.After == "" || p.At.IsZero() {
		return p, fail(adapters.Permanent, adapters.ReasonCursor, errors.New("the cursor is not of this list"))
	}
	return p, nil
}

func (p place) cursor() adapters.Cursor { return adapters.Cursor(encode(p)) }

// list fetches one page of posts.
func (s *Source) list(ctx context.Context, q adapters.Query, at place, c *session) (adapters.Page, error) {
	if at.Page > MaxPages {
		return adapters.Page{}, fail(adapters.Permanent, "", fmt.Errorf("the list has more than %d pages: the rest is not asked for", MaxPages))
	}
	client := s.v3
	if s.posts == DialectV2 {
		client = s.v2
	}
	var data struct {
		Posts *[]post `json:"posts"`
	}
	if _, err := s.call(ctx, client, c, postsOf(s.posts, c.username, at.After), &data); err != nil {
		return adapters.Page{}, err
	}
	if data.Posts == nil {
		return adapters.Page{}, fail(adapters.Temporary, adapters.ReasonInvalid, errors.New("the answer has no list of posts"))
	}
	posts := *data.Posts
	if err := at.check(posts, c.userID); err != nil {
		return adapters.Page{}, err
	}
	// The last posts of the page before come again, so a page without any post is no end but a hiccup.
	if len(posts) == 0 && len(at.Again) > 0 {
		return adapters.Page{}, fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("page %d is empty, and the post %s had to be on it", at.Page, name(at.Again[0])))
	}
	var p adapters.Page
	for i := range posts {
		if slices.Contains(at.Again, posts[i].ID) {
			continue
		}
		r := posts[i].record(c.username)
		r.Owner = q.Target
		if r.Time.After(p.Newest) {
			p.Newest = r.Time
		}
		p.Records = append(p.Records, r)
	}
	// A page that has nothing new is the end. A short one is not believed: the servers may give less than was asked for.
	if len(p.Records) == 0 {
		return p, nil
	}
	next, err := at.next(posts)
	if err != nil {
		return adapters.Page{}, err
	}
	if next.Page > 0 {
		p.Next = next.cursor()
	}
	return p, nil
}

// check refuses a page that does not go on where the one before it ended.
func (p place) check(posts []post, userID string) error {
	repeated := func(id string) error {
		return fail(adapters.Permanent, adapters.ReasonCursor, fmt.Errorf("the list repeats itself with the post %s: what is behind it is not seen", name(id)))
	}
	seen := map[string]bool{}
	for i := range posts {
		id, at := posts[i].ID, instant(posts[i].ReleasedAt)
		if id == "" {
			return fail(adapters.Temporary, adapters.ReasonInvalid, errors.New("a post has no id"))
		}
		if u := posts[i].User; u != nil && u.ID != "" && u.ID != userID {
			return fail(adapters.Temporary, adapters.ReasonInvalid, fmt.Errorf("the post %s is another user's", name(id)))
		}
		if seen[id] {
			return repeated(id)
		}
		seen[id] = true
		if p.After != "" && (id == p.After || at.After(p.At)) {
			return repeated(id)
		}
	}
	return nil
}

// next is the place behind a page; the zero place is the end, where no post has a time that could be gone on from.
func (p place) next(posts []post) (place, error) {
	var end, cut time.Time
	var last, after string
	for i := range posts {
		if at := instant(posts[i].ReleasedAt); !at.IsZero() && (end.IsZero() || !at.After(end)) {
			end, last = at, posts[i].ID
		}
	}
	if end.IsZero() {
		return place{}, nil
	}
	n := place{Page: p.Page + 1}
	for i := range posts {
		at := instant(posts[i].ReleasedAt)
		if at.After(end) && (after == "" || !at.After(cut)) {
			after, cut = posts[i].ID, at
		}
		if at.Equal(end) {
			n.Again = append(n.Again, posts[i].ID)
		}
	}
	switch {
	case after != "":
		n.After, n.At = after, cut
		return n, nil
	case len(posts) < perPage: // all of one instant, and there was room for more
		return place{Page: n.Page, After: last, At: end}, nil
	}
	return n, fail(adapters.Permanent, "", fmt.Errorf("%d posts were released in one instant: what is behind them cannot be asked for", len(posts)))
}

// record makes the record of a post of a user.
func (p *post) record(username string) adapters.Record {
	if p.User != nil && p.User.Username != "" {
		username = p.User.Username
	}
	data := Post{
		ID: p.ID, Title: p.Title, Summary: p.Summary, Thumbnail: p.Thumbnail, URL: "https://velog.io/@" + username + "/" + p.Slug,
		Released: p.ReleasedAt, Updated: p.UpdatedAt, Tags: slices.Concat([]string{}, p.Tags), Private: p.IsPrivate, Likes: p.Likes, Comments: p.Comments,
	}
	r := adapters.Record{Stream: StreamPost, Key: p.ID, Time: instant(p.ReleasedAt), Data: encode(data)}
	if r.Time.IsZero() {
		r.Time = instant(p.UpdatedAt)
	}
	return r
}
