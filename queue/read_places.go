package queue

import (
	"context"
	"database/sql"
	"time"
)

// PlaceFilter narrows a list of places; empty fields do not. What is said of mentions must be true of one and the same.
type PlaceFilter struct {
	Name, Category, Area string    // a part of it; of Area, of one of its addresses
	Pipeline, Account    string    // that names it
	From, Until          time.Time // of the post that names it; Until is the first moment that is too late
	Ad                   string    // "yes": a post that names it says that it is paid; "no": one does not
}

// mention puts what is asked of a mention m of record r with answer a.
func (f PlaceFilter) mention() (w where) {
	w.equal(`m.pipeline`, f.Pipeline)
	w.equal(`r.target`, f.Account)
	if !f.From.IsZero() {
		w.add(`r.at >= ?`, stamp(f.From))
	}
	if !f.Until.IsZero() {
		w.add(`r.at < ?`, stamp(f.Until))
	}
	if f.Ad != "" {
		w.add(`case when json_valid(a.answer) and cast(json_extract(a.answer, '$.restaurants[' || m.entry || '].ad') as text) in ('1', 'true') then 'yes' else 'no' end = ?`, f.Ad)
	}
	return w
}

// placePiece is how many places are looked at for what their mentions say, so that a filter that few of them pass takes no longer.
const placePiece = 5000

// FindPlaces returns up to n places with an id above after, by id, and where to go on; "" at the end. There may be more though fewer
// than n are returned. Their entries are not read.
func (s *Store) FindPlaces(ctx context.Context, f PlaceFilter, after string, n int) (ps []PlaceFacts, next string, err error) {
	var w where
	w.add(`p.id > ?`, after)
	for _, x := range []struct{ column, part string }{{`p.name`, f.Name}, {`p.category`, f.Category}} {
		if x.part != "" {
			w.add(`instr(lower(`+x.column+`), lower(?)) > 0`, x.part)
		}
	}
	if f.Area != "" {
		w.add(`(instr(p.road_address, ?) > 0 or instr(p.address, ?) > 0)`, f.Area, f.Area)
	}
	m := f.mention()
	switch {
	case f.Account != "": // through its lists there are few
		m.add(`w.target = ?`, f.Account)
		join := ` ` + firstJoin.in(s) + ` `
		w.add(`p.id in (select m.place from walk w`+join+`listing l on l.walk = w.id`+join+`record r on r.id = l.record`+join+`mention m on m.record = r.id
			left join question a on a.id = m.question`+m.text()+` and m.place is not null)`, m.args...)
	case len(m.parts) > 0:
		w.add(`exists (select 1 from mention m join record r on r.id = m.record left join question a on a.id = m.question`+m.text()+` and m.place = p.id)`, m.args...)
		ids, err := list(ctx, s.read, `select id from place where id > ? order by id limit ?`, []any{after, placePiece}, scanText)
		if err != nil {
			return nil, "", s.explain(err)
		}
		if len(ids) == placePiece {
			next = ids[placePiece-1]
			w.add(`p.id <= ?`, next)
		}
	}
	ps, err = list(ctx, s.read, `select `+placeColumns+` from place p`+w.text()+` order by p.id limit ?`, append(w.args, n+1), func(r *sql.Rows) (p PlaceFacts, err error) {
		return p, r.Scan(placeFields(&p.Place)...)
	})
	if len(ps) > n {
		ps = ps[:n]
		next = ps[n-1].ID
	}
	if err != nil || len(ps) == 0 {
		return nil, next, s.explain(err)
	}
	return ps, next, s.namers(ctx, ps)
}

// namers reads how often places are named.
func (s *Store) namers(ctx context.Context, ps []PlaceFacts) error {
	at := map[string]*PlaceFacts{}
	ids := make([]string, len(ps))
	for i := range ps {
		ids[i], at[ps[i].ID] = ps[i].ID, &ps[i]
	}
	in, args := among(ids)
	return s.each(ctx, `select m.place, count(*), count(distinct r.target), min(r.at), max(r.at) from mention m join record r on r.id = m.record where m.place in `+in+` group by m.place`, args, func(r *sql.Rows) error {
		var id string
		var f PlaceFacts
		if err := r.Scan(&id, &f.Mentions, &f.Accounts, instant{&f.First}, instant{&f.Last}); err != nil {
			return err
		}
		p := at[id]
		p.Mentions, p.Accounts, p.First, p.Last = f.Mentions, f.Accounts, f.First, f.Last
		return nil
	})
}
