package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// MapPlace is what a map shows of a place before somebody asks for it.
type MapPlace struct {
	ID       string
	Name     string
	Category string
	Address  string  // the road's where there is one
	Lat, Lng float64 // both 0: unknown
}

// MapMention is who names a place, and when.
type MapMention struct {
	ID      int64 // never that of another one later
	Account string
	At      time.Time // of the post
	Ad      bool      // the post says so
}

// mapRows is how many mentions are read at a time, so that the log of what is written meanwhile does not grow for long.
const mapRows = 10_000

// CountPlaces returns how many places there are.
func (s *Store) CountPlaces(ctx context.Context) (n int, err error) {
	err = one(ctx, s.scan, `select count(*) from place`, nil, &n)
	return n, s.explain(err)
}

// MapPlaces calls f for every place, in no order: ids are random, and to follow them takes thrice as long.
func (s *Store) MapPlaces(ctx context.Context, f func(MapPlace)) error {
	_, err := list(ctx, s.scan, `select id, name, category, case when road_address <> '' then road_address else address end, coalesce(lat, 0), coalesce(lng, 0) from place`, nil, func(r *sql.Rows) (none struct{}, err error) {
		var p MapPlace
		if err := r.Scan(&p.ID, &p.Name, &p.Category, &p.Address, &p.Lat, &p.Lng); err != nil {
			return none, err
		}
		f(p)
		return none, nil
	})
	return s.explain(err)
}

// MapMentions calls f for every mention above a number, also of those that have no place yet, in the order of their numbers. All
// but its place stays as it is for as long as there is the mention.
func (s *Store) MapMentions(ctx context.Context, after int64, f func(MapMention)) error {
	for {
		n := 0
		// Only a text with a true in it can say that anything is an advertisement: few have to be read.
		_, err := list(ctx, s.scan, `select m.id, r.target, r.at,
				case when instr(a.answer, 'true') > 0 and json_valid(a.answer)
					then case when cast(json_extract(a.answer, '$.restaurants[' || m.entry || '].ad') as text) in ('1', 'true') then 1 else 0 end else 0 end
			from mention m join record r on r.id = m.record left join question a on a.id = m.question
			where m.id > ? order by m.id limit ?`, []any{after, mapRows}, func(r *sql.Rows) (none struct{}, err error) {
			var m MapMention
			if err := r.Scan(&m.ID, &m.Account, instant{&m.At}, &m.Ad); err != nil {
				return none, err
			}
			n, after = n+1, m.ID
			f(m)
			return none, nil
		})
		if err != nil || n < mapRows {
			return s.explain(err)
		}
	}
}

// MapPlaced calls f for every mention that has a place, the places in the order of their ids and the mentions of one in that of
// their numbers.
func (s *Store) MapPlaced(ctx context.Context, f func(mention int64, place string)) error {
	_, err := list(ctx, s.scan, `select id, place from mention where place is not null order by place, id`, nil, func(r *sql.Rows) (none struct{}, err error) {
		var id int64
		var place string
		if err := r.Scan(&id, &place); err != nil {
			return none, err
		}
		f(id, place)
		return none, nil
	})
	return s.explain(err)
}

// PlaceNewest is Place with the n mentions of the newest posts alone, and how many there are in all.
func (s *Store) PlaceNewest(ctx context.Context, id string, n int) (pm PlaceMentions, all int, err error) {
	if pm.Place, err = s.PlaceRow(ctx, id); err != nil {
		return pm, 0, err
	}
	if err := one(ctx, s.read, `select count(*) from mention where place = ?`, []any{id}, &all); err != nil {
		return pm, 0, s.explain(err)
	}
	// The newest are chosen before what they say is read.
	pm.Mentions, err = list(ctx, s.read, `select `+mentionColumns+` from (select m.id from mention m join record r on r.id = m.record where m.place = ? order by r.at desc, r.key, m.n limit ?) x
		cross join `+mentionTables+` where m.id = x.id order by r.at desc, r.key, m.n`, []any{id, n}, scanMention)
	if err == nil && len(pm.Mentions) == 0 {
		err = ErrNotFound
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		err = s.explain(err)
	}
	return pm, all, err
}
