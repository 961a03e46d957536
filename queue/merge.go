package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// PlaceEntry is what one finder shows of a place: its own id and text, and whose part it is. Entries of one name and address
// have one id, whichever finder shows them, and are always of one place.
type PlaceEntry struct {
	Place
	Of       string // id of the place
	ByHand   bool   // a person has put it there
	Mentions int    // that took it
}

// One says which entries of the finders are one place, and what is known of it then.
type One struct {
	Same    func(known, found Place) bool // of two entries with different ids
	Differ  func(known, found Place) bool // they are not, whatever a third one says
	Compose func(entries []Place) Place   // of all entries of one place; the id is not looked at
	Spot    func(p Place) string          // the address folded for comparison; nil: entries are not known by it
}

const entryColumns = `e.id, e.finder, e.finder_id, e.name, e.compact, e.category, e.address, e.road_address, e.phone, e.link, e.query, e.lat, e.lng, e.spot, e.found_at, e.place, e.by_hand`

func scanEntry(r *sql.Rows) (e PlaceEntry, err error) {
	err = r.Scan(entryFields(&e)...)
	return e, err
}

func entryFields(e *PlaceEntry) []any {
	return []any{&e.ID, &e.Finder, &e.FinderID, &e.Name, &e.Compact, &e.Category, &e.Address, &e.Road, &e.Phone, &e.Link, &e.Query, &e.Lat, &e.Lng, &e.Spot, instant{&e.Updated}, &e.Of, &e.ByHand}
}

// settle stores an entry that was taken, and returns the place that it is part of: the one that it was part of before, else
// that of an entry which is the same, else a new one. seen is when the finder showed it; zero: now. What is known of an entry
// that was seen before stays: it may be newer.
func (tx *Tx) settle(p Place, seen time.Time, one One) (string, error) {
	known, err := tx.entries(`e.id = ?`, p.ID)
	if err != nil {
		return "", err
	}
	id := p.ID
	p.Updated = tx.now
	if !seen.IsZero() {
		p.Updated = seen
	}
	if len(known) > 0 {
		id = known[0].Of
		if i := slices.IndexFunc(known, func(e PlaceEntry) bool { return e.Finder == p.Finder }); i >= 0 {
			if !seen.IsZero() {
				return id, tx.compose(id, one)
			}
			both := one.Compose([]Place{p, known[i].Place})
			both.ID, both.Spot, both.Updated = p.ID, p.Spot, p.Updated
			p = both
		}
	} else if of, err := tx.partOf(p, one); err != nil {
		return "", err
	} else if of != "" {
		id = of
	}
	by := len(known) > 0 && known[0].ByHand
	_, err = tx.exec(`insert into place_entry (id, place, by_hand, finder, finder_id, name, compact, category, address, road_address, phone, link, query, lat, lng, spot, found_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (id, finder) do update set finder_id = excluded.finder_id, name = excluded.name, compact = excluded.compact,
		category = excluded.category, address = excluded.address, road_address = excluded.road_address, phone = excluded.phone, link = excluded.link,
		query = excluded.query, lat = excluded.lat, lng = excluded.lng, spot = excluded.spot, found_at = excluded.found_at`,
		p.ID, id, flag(by), p.Finder, p.FinderID, p.Name, p.Compact, p.Category, p.Address, p.Road, p.Phone, p.Link, p.Query, known0(p.Lat), known0(p.Lng), p.Spot, stamp(p.Updated))
	if err != nil {
		return "", fmt.Errorf("entry %s: %w", p.ID, err)
	}
	return id, tx.compose(id, one)
}

// join stores what else is shown of a place. Entries that are known as another one's, or would be, are left alone.
func (tx *Tx) join(entries []Place, place string, one One) error {
	for _, p := range entries {
		var of string
		err := tx.one(`select place from place_entry where id = ? limit 1`, []any{p.ID}, &of)
		if errors.Is(err, ErrNotFound) {
			of, err = tx.partOf(p, one)
		}
		if err != nil {
			return err
		}
		if of != place {
			continue
		}
		if _, err := tx.settle(p, time.Time{}, one); err != nil {
			return err
		}
	}
	return nil
}

// known0 is a coordinate, 0 when it is none.
func known0(f float64) float64 {
	if f >= -180 && f <= 180 {
		return f
	}
	return 0
}

// fillSpots gives entries of a file that did not know of spots theirs, once a process.
func (tx *Tx) fillSpots(one One) error {
	if one.Spot == nil || tx.s.spots.Load() {
		return nil
	}
	without, err := list(tx.ctx, tx.tx, `select `+entryColumns+` from place_entry e where e.spot = '' and (e.address <> '' or e.road_address <> '')`, nil, scanEntry)
	if err != nil {
		return err
	}
	for _, e := range without {
		if spot := one.Spot(e.Place); spot != "" {
			if _, err := tx.exec(`update place_entry set spot = ? where id = ? and finder = ?`, spot, e.ID, e.Finder); err != nil {
				return err
			}
		}
	}
	tx.s.spots.Store(true)
	return nil
}

// partOf returns the place that an entry which the file does not know belongs to; "" when it is a new one.
func (tx *Tx) partOf(p Place, one One) (string, error) {
	if err := tx.fillSpots(one); err != nil {
		return "", err
	}
	apart, err := list(tx.ctx, tx.tx, `select e.place from place_apart x join place_entry e on e.id = case when x.a = ? then x.b else x.a end where x.a = ? or x.b = ?`, []any{p.ID, p.ID, p.ID}, scanText)
	if err != nil {
		return "", err
	}
	for _, like := range []struct{ where, value string }{
		{`e.compact = ?`, p.Compact}, {`e.finder_id <> '' and e.finder_id = ?`, p.FinderID}, {`e.spot <> '' and e.spot = ?`, p.Spot}, {`e.phone <> '' and e.phone = ?`, p.Phone},
	} {
		if like.value == "" {
			continue
		}
		known, err := tx.entries(like.where, like.value)
		if err != nil {
			return "", err
		}
		for _, k := range known {
			if slices.Contains(apart, k.Of) || !one.Same(k.Place, p) {
				continue
			}
			all, err := tx.entries(`e.place = ?`, k.Of)
			if err != nil {
				return "", err
			}
			if !slices.ContainsFunc(all, func(e PlaceEntry) bool { return one.Differ(e.Place, p) }) {
				return k.Of, nil
			}
		}
	}
	return "", nil
}

// mostAlike bounds how many entries are compared with one that is new: a chain has thousands of equal names.
const mostAlike = 2000

func (tx *Tx) entries(where, value string) ([]PlaceEntry, error) {
	return list(tx.ctx, tx.tx, `select `+entryColumns+` from place_entry e where `+where+` order by e.by_hand desc, e.id, e.finder limit ?`, []any{value, mostAlike}, scanEntry)
}

// compose stores what all of its entries say of a place.
func (tx *Tx) compose(id string, one One) error {
	es, err := tx.entries(`e.place = ?`, id)
	if err != nil || len(es) == 0 {
		return err
	}
	ps := make([]Place, len(es))
	for i, e := range es {
		ps[i] = e.Place
	}
	p := one.Compose(ps)
	p.ID = id
	return tx.writePlace(p)
}

// Merge makes other a part of into, for good: what is found as either is one place from now on.
func (tx *Tx) Merge(into, other string, one One) error {
	if into == other {
		return fmt.Errorf("%s is one place already", into)
	}
	for _, id := range []string{into, other} {
		var there bool
		if err := tx.one(`select exists (select 1 from place where id = ?)`, []any{id}, &there); err != nil {
			return err
		}
		if !there {
			return missing(fmt.Sprintf("there is no place %s; `sumbi places list` shows them", id))
		}
	}
	pipelines, err := tx.naming(into, other)
	if err != nil {
		return err
	}
	for _, pair := range [][2]string{{into, other}, {other, into}} {
		if _, err := tx.exec(`delete from place_apart where a in (select id from place_entry where place = ?) and b in (select id from place_entry where place = ?)`, pair[0], pair[1]); err != nil {
			return err
		}
	}
	if _, err := tx.exec(`update place_entry set place = ?, by_hand = 1 where place = ? or place = ?`, into, into, other); err != nil {
		return err
	}
	if _, err := tx.exec(`update mention set place = ? where place = ?`, into, other); err != nil {
		return err
	}
	if err := tx.compose(into, one); err != nil {
		return err
	}
	return tx.tell(pipelines, into, other)
}

// Split takes an entry out of its place, with the mentions that took it. The two are not taken for one again but by Merge.
// It returns the two places.
func (tx *Tx) Split(entry string, one One) (stays, leaves string, err error) {
	known, err := tx.entries(`e.id = ?`, entry)
	if err != nil {
		return "", "", err
	}
	if len(known) == 0 {
		return "", "", missing(fmt.Sprintf("there is no entry %s; `sumbi places list --merged` shows them", entry))
	}
	stays = known[0].Of
	all, err := tx.entries(`e.place = ?`, stays)
	if err != nil {
		return "", "", err
	}
	var moving []string
	for _, e := range all {
		if e.ID == entry || slices.Contains(moving, e.ID) {
			continue
		}
		if _, err := tx.exec(`insert into place_apart (a, b, at) values (?, ?, ?) on conflict (a, b) do nothing`, min(entry, e.ID), max(entry, e.ID), stamp(tx.now)); err != nil {
			return "", "", err
		}
		moving = append(moving, e.ID)
	}
	if len(moving) == 0 {
		return "", "", fmt.Errorf("place %s is of one entry, there is nothing to split", stays)
	}
	pipelines, err := tx.naming(stays, stays)
	if err != nil {
		return "", "", err
	}
	// A place goes by the id of one of its entries.
	if leaves = moving[0]; entry != stays {
		moving, leaves = []string{entry}, entry
	}
	for _, id := range moving {
		if _, err := tx.exec(`update place_entry set place = ? where id = ?`, leaves, id); err != nil {
			return "", "", err
		}
		if _, err := tx.exec(`update mention set place = ? where found = ? and place = ?`, leaves, id, stays); err != nil {
			return "", "", err
		}
	}
	for _, id := range []string{stays, leaves} {
		if err := tx.compose(id, one); err != nil {
			return "", "", err
		}
	}
	if err := tx.tell(pipelines, stays, leaves); err != nil {
		return "", "", err
	}
	_, err = tx.exec(`delete from place where (id = ? or id = ?) and not exists (select 1 from mention m where m.place = place.id)`, stays, leaves)
	return stays, leaves, err
}

// naming returns the pipelines of which a mention is of one of two places.
func (tx *Tx) naming(a, b string) ([]string, error) {
	return list(tx.ctx, tx.tx, `select distinct pipeline from mention where place = ? or place = ? order by pipeline`, []any{a, b}, scanText)
}

// tell tells the sinks of these pipelines that places are others now.
func (tx *Tx) tell(pipelines []string, places ...string) error {
	for _, pipeline := range pipelines {
		for _, id := range places {
			if err := tx.placeChanged(pipeline, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// Entries returns what a place is made of.
func (s *Store) Entries(ctx context.Context, place string) ([]PlaceEntry, error) {
	es, err := list(ctx, s.read, `select `+entryColumns+`, (select count(*) from mention m where m.found = e.id) from place_entry e where e.place = ? order by e.id, e.finder`, []any{place}, func(r *sql.Rows) (e PlaceEntry, err error) {
		err = r.Scan(append(entryFields(&e), &e.Mentions)...)
		return e, err
	})
	return es, s.explain(err)
}

// EntryOf returns the place that an entry is part of; ErrNotFound when there is no such entry.
func (s *Store) EntryOf(ctx context.Context, entry string) (place string, err error) {
	err = one(ctx, s.read, `select place from place_entry where id = ? limit 1`, []any{entry}, &place)
	if errors.Is(err, ErrNotFound) {
		return "", missing(fmt.Sprintf("there is no place %s; `sumbi places list` shows them", entry))
	}
	return place, s.explain(err)
}

// PlaceLine is a place as a list shows it.
type PlaceLine struct {
	ID, Name, Address, Finder string
	Mentions, Entries         int
}

// PlaceLines lists up to n places, those that are named most first. name narrows the list to names that have it in them;
// merged to places of several entries.
func (s *Store) PlaceLines(ctx context.Context, name string, merged bool, n int) ([]PlaceLine, error) {
	ps, err := list(ctx, s.read, `select p.id, p.name, case when p.road_address <> '' then p.road_address else p.address end, p.finder, count(m.id),
			(select count(distinct e.id) from place_entry e where e.place = p.id)
		from place p join mention m on m.place = p.id
		where p.name like ? and (? = 0 or (select count(distinct e.id) from place_entry e where e.place = p.id) > 1)
		group by p.id order by count(m.id) desc, p.name, p.id limit ?`, []any{"%" + name + "%", flag(merged), n}, func(r *sql.Rows) (p PlaceLine, err error) {
		err = r.Scan(&p.ID, &p.Name, &p.Address, &p.Finder, &p.Mentions, &p.Entries)
		return p, err
	})
	return ps, s.explain(err)
}
