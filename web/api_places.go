package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sumbi/queue"
)

type apiPlaceRow struct {
	apiEntryOf
	MentionCount int       `json:"mentionCount"`
	AccountCount int       `json:"accountCount"`
	First        time.Time `json:"firstSeen,omitzero"`
	Last         time.Time `json:"lastSeen,omitzero"`
}

func placeRowJSON(p queue.PlaceFacts) apiPlaceRow {
	return apiPlaceRow{placeJSON(p.Place), p.Mentions, p.Accounts, utc(p.First), utc(p.Last)}
}

func (s *Server) apiPlaces(q *query) (any, error) {
	n, err := q.limit(mostOnPage)
	if err != nil {
		return nil, err
	}
	f := queue.PlaceFilter{Name: q.text("name"), Category: q.text("category"), Area: q.text("area"), Pipeline: q.text("pipeline"), Account: q.text("account")}
	if f.From, err = q.day("from"); err != nil {
		return nil, err
	}
	if f.Until, err = q.day("to"); err != nil {
		return nil, err
	}
	if !f.Until.IsZero() {
		f.Until = f.Until.AddDate(0, 0, 1)
	}
	ad, err := q.choice("ad", "true", "false")
	if err != nil {
		return nil, err
	}
	f.Ad = map[string]string{"true": "yes", "false": "no"}[ad]
	ps, next, err := s.Store.FindPlaces(q.Context(), f, q.text("after"), n)
	page := pageOf[apiPlaceRow]{Items: each(ps, placeRowJSON)}
	if next != "" {
		page.Next = &next
	}
	return page, err
}

// day is the beginning of a Korean day; zero when it is not there.
func (q *query) day(name string) (time.Time, error) {
	v := q.text(name)
	if v == "" && !q.values.Has(name) {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, v, korea)
	if err != nil {
		return t, wrong("%s must be a day such as 2026-11-20", name)
	}
	return t, nil
}

type apiPoint struct {
	Lat float64 `json:"lat"`
	Lng float64 `json:"lng"`
}

func point(lat, lng float64) *apiPoint {
	if lat == 0 || lng == 0 {
		return nil
	}
	return &apiPoint{lat, lng}
}

type apiEntryOf struct {
	ID       string    `json:"id"`
	Finder   string    `json:"finder"`
	FinderID string    `json:"finderId,omitempty"`
	Name     string    `json:"name"`
	Category string    `json:"category,omitempty"`
	Road     string    `json:"roadAddress,omitempty"`
	Address  string    `json:"address,omitempty"`
	Phone    string    `json:"phone,omitempty"`
	Link     string    `json:"link,omitempty"`
	Location *apiPoint `json:"location"`
}

func placeJSON(p queue.Place) apiEntryOf {
	return apiEntryOf{p.ID, p.Finder, p.FinderID, p.Name, p.Category, p.Road, p.Address, p.Phone, p.Link, point(p.Lat, p.Lng)}
}

type apiPlaceEntry struct {
	apiEntryOf
	ByHand   bool `json:"byHand"`
	Mentions int  `json:"mentions"`
}

type apiPlace struct {
	apiEntryOf
	Entries      []apiPlaceEntry    `json:"entries"`
	MentionCount int                `json:"mentionCount"`
	AccountCount int                `json:"accountCount"`
	First        time.Time          `json:"firstSeen,omitzero"`
	Last         time.Time          `json:"lastSeen,omitzero"`
	Mentions     pageOf[apiMention] `json:"mentions"`
}

func (s *Server) apiPlace(q *query) (any, error) {
	n, err := q.limit(mostOnPage)
	if err != nil {
		return nil, err
	}
	var before queue.MentionsBefore
	if token := q.text("after"); token != "" {
		at, id, _ := strings.Cut(token, "_")
		before.At, err = time.Parse(time.RFC3339, at)
		if err == nil {
			before.ID, err = strconv.ParseInt(id, 10, 64)
		}
		if err != nil {
			return nil, wrong("after must be what next was in the answer before")
		}
	}
	id := q.PathValue("id")
	p, err := s.Store.PlaceFacts(q.Context(), id)
	if err != nil {
		return nil, absent(err, fmt.Sprintf("place %q", id), "/places")
	}
	ms, err := s.Store.PlaceStories(q.Context(), id, before, n+1)
	return apiPlace{
		apiEntryOf: placeJSON(p.Place), MentionCount: p.Mentions, AccountCount: p.Accounts, First: utc(p.First), Last: utc(p.Last),
		Entries: each(p.Entries, func(e queue.PlaceEntry) apiPlaceEntry { return apiPlaceEntry{placeJSON(e.Place), e.ByHand, e.Mentions} }),
		Mentions: paged(ms, n, func(m queue.MentionStory) string {
			return utc(m.Record.Time).Format(time.RFC3339Nano) + "_" + numbered(m.ID)
		}, mentionJSON),
	}, err
}
