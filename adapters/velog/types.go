package velog

import (
	"encoding/json"
	"strings"
	"time"
)

// Post is the form of Record.Data in StreamPost.
type Post struct {
	ID        string   `json:"id"` // also the key of the record
	Title     string   `json:"title"`
	Summary   string   `json:"summary"`
	Thumbnail string   `json:"thumbnail"` // "" when there is none
	URL       string   `json:"url"`
	Released  string   `json:"released"` // instants as velog writes them; "" unknown
	Updated   string   `json:"updated"`
	Tags      []string `json:"tags"`
	Private   *bool    `json:"private,omitempty"` // absent when unknown, as the counts
	Likes     *int64   `json:"likes,omitempty"`
	Comments  *int64   `json:"comments,omitempty"`
}

// Stats is the form of Record.Data in StreamStats.
type Stats struct {
	Post  string `json:"post"`
	Total *int64 `json:"total,omitempty"` // views since the post was released; absent when unknown
	Days  []Day  `json:"days"`            // the upstream's own series, newest first. Since November 2023 it is empty, which does not mean 0
}

// Day is the views of one Korean day. A day without views is missing.
type Day struct {
	Day   string `json:"day"` // 2023-11-16
	Views int64  `json:"views"`
}

// operation is one GraphQL request.
type operation struct {
	Name      string         `json:"operationName"`
	Variables map[string]any `json:"variables"`
	Query     string         `json:"query"`
}

func currentUser() operation {
	return operation{
		Name: "currentUser", Variables: map[string]any{},
		Query: "query currentUser { currentUser { id username email profile { thumbnail } } }",
	}
}

func getStats(post string) operation {
	return operation{
		Name: "GetStats", Variables: map[string]any{"post_id": post},
		Query: "query GetStats($post_id: ID!) { getStats(post_id: $post_id) { total count_by_day { count day } } }",
	}
}

// postsOf asks for the posts of a user that were released before the post after; "" is from the top.
func postsOf(dialect, username, after string) operation {
	if dialect == DialectV2 {
		v := map[string]any{"username": username, "limit": perPage}
		if after != "" {
			v["cursor"] = after
		}
		return operation{
			Name: "Posts", Variables: v,
			Query: "query Posts($cursor: ID, $username: String, $temp_only: Boolean, $tag: String, $limit: Int) { posts(cursor: $cursor, username: $username, temp_only: $temp_only, tag: $tag, limit: $limit) { id title short_description thumbnail url_slug released_at updated_at comments_count tags is_private likes } }",
		}
	}
	return operation{
		Name: "velogPosts", Variables: map[string]any{"input": map[string]any{"username": username, "cursor": after, "limit": perPage, "tag": ""}},
		Query: "query velogPosts($input: GetPostsInput!) { posts(input: $input) { id title short_description thumbnail likes url_slug released_at updated_at comments_count tags is_private user { id username } } }",
	}
}

// response is the envelope of every answer.
type response struct {
	Data   json.RawMessage `json:"data"`
	Errors []graphQLError  `json:"errors"`
}

type graphQLError struct {
	Message    string         `json:"message"`
	Extensions map[string]any `json:"extensions"`
}

type user struct {
	ID       string `json:"id"`
	Username string `json:"username"`
}

type post struct {
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Summary    string   `json:"short_description"`
	Thumbnail  string   `json:"thumbnail"`
	Slug       string   `json:"url_slug"`
	ReleasedAt string   `json:"released_at"`
	UpdatedAt  string   `json:"updated_at"`
	Comments   *int64   `json:"comments_count"`
	Tags       []string `json:"tags"`
	IsPrivate  *bool    `json:"is_private"`
	Likes      *int64   `json:"likes"`
	User       *user    `json:"user"` // v3 only
}

type statsData struct {
	Total      *int64 `json:"total"`
	CountByDay []struct {
		Count *int64 `json:"count"`
		Day   string `json:"day"`
	} `json:"count_by_day"`
}

var korea = time.FixedZone("KST", 9*60*60)

func (d *statsData) stats(post string) Stats {
	s := Stats{Post: post, Total: d.Total, Days: []Day{}}
	if s.Total != nil && *s.Total < 0 {
		s.Total = nil
	}
	seen := map[string]bool{}
	for _, c := range d.CountByDay {
		day := koreanDay(c.Day)
		if day == "" || c.Count == nil || *c.Count < 0 || seen[day] {
			continue
		}
		seen[day] = true
		s.Days = append(s.Days, Day{Day: day, Views: *c.Count})
	}
	return s
}

// koreanDay reads the day of a series. The upstream writes the Korean day as if it began at midnight UTC; an instant that is the
// true beginning of a Korean day is read, too. "" is no day.
func koreanDay(s string) string {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	if err != nil {
		return ""
	}
	if t = t.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly)
	}
	return t.In(korea).Format(time.DateOnly)
}

// instant reads a time of a post; zero is none.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(s))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
