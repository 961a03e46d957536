package queue

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"sumbi/adapters"
)

// Decision is what is decided about a mention now, as it is shown to who decides anew.
type Decision struct {
	State     string // place, none, review, waiting
	Place     string
	PlaceName string
	Label     int64 // a person has decided it so; 0: nobody
	Author    string
	At        time.Time // zero: never decided
}

// Version tells this decision from every other one of its mention.
func (d Decision) Version() string {
	return fmt.Sprintf("%d-%d-%s", d.At.UnixMilli(), d.Label, d.State)
}

// decisionText reads the decision of mention number ?.
const decisionText = `select m.state, coalesce(m.place, ''), coalesce(p.name, ''), coalesce(m.label, 0), coalesce(l.author, ''), m.decided_at
	from mention m left join label l on l.id = m.label left join place p on p.id = m.place where m.id = ?`

func (d *Decision) fields() []any {
	return []any{&d.State, &d.Place, &d.PlaceName, &d.Label, &d.Author, instant{&d.At}}
}

// Decision reads what is decided about a mention; ErrNotFound when it has gone.
func (s *Store) Decision(ctx context.Context, mention int64) (d Decision, err error) {
	err = one(ctx, s.read, decisionText, []any{mention}, d.fields()...)
	return d, s.explain(err)
}

// Decision is Store.Decision within the transaction.
func (tx *Tx) Decision(mention int64) (d Decision, err error) {
	err = tx.one(decisionText, []any{mention}, d.fields()...)
	return d, err
}

// LabelOf is Store.LabelOf within the transaction.
func (tx *Tx) LabelOf(mention int64) (Label, error) {
	return labelOf(tx.ctx, tx.tx, mention)
}

func labelOf(ctx context.Context, q querier, mention int64) (Label, error) {
	ls, err := list(ctx, q, `select `+labelColumns+` from mention m join label l on l.id = m.label where m.id = ?`, []any{mention}, scanLabel)
	if err != nil {
		return Label{}, err
	}
	if len(ls) == 0 {
		return Label{}, ErrNotFound
	}
	return ls[0], nil
}

// mostLinked bounds what one link finds.
const mostLinked = 20

// Linked returns what the file knows behind links, and by finder's own id, unless that is "": entries of places first, then what
// searches have shown. Without links there is nothing.
func (s *Store) Linked(ctx context.Context, links []string, finder, id string) ([]Option, error) {
	if len(links) == 0 {
		return nil, nil
	}
	var forms []any
	for _, l := range links {
		forms = append(forms, l)
	}
	forms = append(forms, finder, id)
	where := `(x.link in ` + places(1, len(links)) + ` or (x.finder = ? and x.finder_id <> '' and x.finder_id = ?))`
	entries, err := list(ctx, s.read, `select x.id, x.finder, x.finder_id, x.name, x.category, x.address, x.road_address, x.phone, x.link, x.query, x.lat, x.lng
		from place_entry x where `+where+` order by x.id, x.finder limit 20`, forms, scanLinked)
	if err != nil {
		return nil, s.explain(err)
	}
	shown, err := list(ctx, s.read, `select `+candidateColumns+` from candidate c where c.id in (select x.id from candidate x where `+where+`) order by c.id desc limit 20`, forms, scanCandidate)
	if err != nil {
		return nil, s.explain(err)
	}
	for _, c := range shown {
		if !known(entries, c) && len(entries) < mostLinked {
			entries = append(entries, Option{Candidate: c})
		}
	}
	return entries, nil
}

// known reports whether all is the text of c already.
func known(all []Option, c adapters.Candidate) bool {
	for _, o := range all {
		if o.Finder == c.Finder && o.Name == c.Name && o.Address == c.Address && o.RoadAddress == c.RoadAddress {
			return true
		}
	}
	return false
}

// scanLinked scans an entry. One that holds nothing of its finder's text is known by its key alone.
func scanLinked(r *sql.Rows) (o Option, err error) {
	var key, words string
	err = r.Scan(&key, &o.Finder, &o.ID, &o.Name, &o.Category, &o.Address, &o.RoadAddress, &o.Phone, &o.Link, &words, &o.Lat, &o.Lng)
	if words != "" && o.Address == "" && o.RoadAddress == "" {
		o.Name, o.Key, o.Query = "", key, words
	}
	return o, err
}
