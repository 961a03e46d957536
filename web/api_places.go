package web

import (
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
