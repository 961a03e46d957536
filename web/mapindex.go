package web

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"sumbi/queue"
)

const (
	mapFresh = 5 * time.Second  // what was read is believed for so long
	mapShare = 20               // and longer where reading takes long: at most so much of the time is spent in it
	mapOther = time.Minute      // what others have changed is seen after this
	mapIdle  = 10 * time.Minute // nobody looks any more: then its memory is given back
)

// mapCache keeps what the map needs of the state in memory while somebody looks at the map: about 120 bytes a place and 12 a
// mention, and the places twice while they are read again. So every filter is answered without a look at the state. Who looks waits
// only for the first reading; later ones are made while what was read before is shown.
type mapCache struct {
	mu      sync.Mutex
	index   *mapIndex
	read    time.Time       // when index was
	until   time.Time       // index is believed
	changed <-chan struct{} // closed when this process has changed anything since
	must    bool            // something was changed here that the next look must show
	reading bool
	idle    *time.Timer
	closed  bool
	wg      sync.WaitGroup
}

// mapPlaces returns what is known of the places.
func (s *Server) mapPlaces(ctx context.Context) (*mapIndex, error) {
	c := &s.mapped
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == nil {
		c.idle = time.AfterFunc(mapIdle, c.forget)
	}
	c.idle.Reset(mapIdle)
	if c.index == nil || c.must {
		changed, began := s.Store.Changed(), time.Now()
		index, err := readMap(ctx, s.Store, c.index)
		if err != nil {
			c.collect()
			return nil, err
		}
		c.take(index, changed, began)
		return index, nil
	}
	if c.old() && !c.reading && !c.closed {
		c.reading = true
		c.wg.Go(func() { s.readMapAgain(context.WithoutCancel(ctx)) })
	}
	return c.index, nil
}

func (c *mapCache) take(index *mapIndex, changed <-chan struct{}, began time.Time) {
	c.index, c.changed, c.must, c.read = index, changed, false, began
	c.until = time.Now().Add(max(mapFresh, mapShare*time.Since(began)))
	c.collect()
	go debug.FreeOSMemory() // what was shown before, and what reading left
}

// collect lets as much garbage pile up as may beside what is held when nothing is read.
func (c *mapCache) collect() {
	held := 0
	if c.index != nil && !c.closed {
		held = c.index.bytes()
	}
	collectBeside(held, garbageShown)
}

// old tells whether there may be more to see.
func (c *mapCache) old() bool {
	if time.Now().Before(c.until) {
		return false
	}
	select {
	case <-c.changed:
		return true
	default:
		return time.Since(c.read) > mapOther
	}
}

// readMapAgain reads the places while what was read before is shown.
func (s *Server) readMapAgain(ctx context.Context) {
	c := &s.mapped
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c.mu.Lock()
	before := c.index
	c.mu.Unlock()
	changed, began := s.Store.Changed(), time.Now()
	index, err := readMap(ctx, s.Store, before)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	switch {
	case err != nil:
		if !c.closed {
			s.Log.Warn("the map cannot be read again", "err", err)
		}
		c.until = time.Now().Add(mapFresh)
		c.collect()
	case c.index == before && !c.must: // nobody has read or forgotten it meanwhile
		c.take(index, changed, began)
	default:
		c.collect()
	}
}

func (c *mapCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index = nil
	c.collect()
	go debug.FreeOSMemory()
}

// gcPercent is how much garbage may pile up, in percent of what is in use, when no places are held; below 0 there is no bound.
var gcPercent = sync.OnceValue(func() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
})

// How many bytes of garbage may pile up while places are held, where all else that is in use takes as many. Where it takes less,
// fewer may, but more than without places; where it takes more, more may, but fewer than without places.
const (
	garbageShown   = 24 << 20
	garbageReading = 8 << 20 // some are held twice then
)

// collectBeside lets so many bytes of garbage pile up beside so many of places.
func collectBeside(places, garbage int) {
	if percent := gcPercent(); percent > 0 {
		debug.SetGCPercent(max(1, percent*garbage/(garbage+places)))
	}
}

// stale makes the next look at the map see what was just changed here.
func (c *mapCache) stale() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.must = true
}

// close waits for what is being read.
func (c *mapCache) close() {
	c.mu.Lock()
	c.closed = true
	c.collect()
	if c.idle != nil {
		c.idle.Stop()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// mapIndex is every place with those who name it. It is not changed once it is read.
type mapIndex struct {
	places []mapPlace // in the order in which the state has them
	byID   []int32
	ranked []int32 // those that somebody names, those named most first
	near   []int32 // of them those with a position, neighbours beside each other

	mentions []mapBlock // by number, also those without a place: what is known of one stays
	of       []int32    // in the order of the blocks, and within them: 1 and the mention's place; 0 for none
	placed   int        // how many have one

	account, category, area     terms       // what the numbers of a place and a mention mean
	accounts, categories, areas []mapChoice // what there is to filter by, with the places of each
}

type mapPlace struct {
	text           string // its id, its name, and that as it is searched where it differs
	name, searched uint32 // where the latter two begin in it
	category, area int32
	lat, lng       int32 // hundred-thousandths of a degree, about a metre; both 0: unknown
	posts          int32 // mentions
	newest         uint32
}

// mapBlock are the mentions whose numbers divided by blockSize are key.
type mapBlock struct {
	key  int64
	n    int // how many there are
	said *[blockSize]mapMention
}

const (
	blockSize  = 4096
	blockBytes = blockSize * int(unsafe.Sizeof(mapMention{}))
)

type mapMention struct {
	at  uint32 // Unix seconds of the post
	who uint32 // twice 1 and the number of the account, and 1 more for advertising; 0: there is no such mention
}

// terms are texts that many have in common.
type terms struct {
	texts  []string
	number map[string]int32
}

// of returns the number of a text, which is new or not.
func (t *terms) of(s string) int32 {
	n, ok := t.number[s]
	if !ok {
		if t.number == nil {
			t.number = map[string]int32{}
		}
		n, s = int32(len(t.texts)), strings.Clone(s)
		t.number[s] = n
		t.texts = append(t.texts, s)
	}
	return n
}

// which tells of each text whether it is part, or begins with it and a separator; nil when part is "": all do.
func (t *terms) which(part, separator string) []bool {
	if part == "" {
		return nil
	}
	all := make([]bool, len(t.texts))
	for i, text := range t.texts {
		all[i] = text == part || strings.HasPrefix(text, part+separator)
	}
	return all
}

// mapChoice is something to filter by, and how many places it leaves.
type mapChoice struct {
	Value, Text string
	N           int
}

// degree is how many units of a position are one degree.
const degree = 1e5

func (p *mapPlace) placed() bool { return p.lat != 0 || p.lng != 0 }

func (p *mapPlace) id() string { return p.text[:p.name] }

func (p *mapPlace) shown() string { return p.text[p.name:p.searched] }

// folded is the name as it is searched.
func (p *mapPlace) folded() string {
	if int(p.searched) == len(p.text) {
		return p.shown()
	}
	return p.text[p.searched:]
}

// readMap reads the places. Of before, which may be nil, it takes what does not change.
func readMap(ctx context.Context, store *queue.Store, before *mapIndex) (*mapIndex, error) {
	n, err := store.CountPlaces(ctx)
	if err != nil {
		return nil, err
	}
	x := &mapIndex{places: make([]mapPlace, 0, n+100)}
	held := x.bytes()
	if before != nil {
		held += before.bytes()
		x.keep(before)
	}
	collectBeside(held, garbageReading)
	after := int64(0)
	if n := len(x.mentions); n > 0 {
		after = (x.mentions[n-1].key+1)*blockSize - 1
	}
	g, reading := errgroup.WithContext(ctx)
	g.Go(func() error { return x.readPlaces(reading, store, before) })
	g.Go(func() error {
		return store.MapMentions(reading, after, func(m queue.MapMention) {
			if x.addMention(m) {
				held += blockBytes
				collectBeside(held, garbageReading)
			}
		})
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	x.byID = make([]int32, len(x.places))
	for i := range x.byID {
		x.byID[i] = int32(i)
	}
	slices.SortFunc(x.byID, x.compareIDs)
	x.of = make([]int32, len(x.mentions)*blockSize)
	collectBeside(held+4*(len(x.of)+3*len(x.places)), garbageReading)
	byAccount, err := x.assign(ctx, store)
	if err != nil {
		return nil, err
	}
	x.order()
	x.count(byAccount)
	return x, nil
}

// bytes is about how much memory it takes.
func (x *mapIndex) bytes() int {
	const text = 56 // of a place
	return len(x.mentions)*blockBytes + cap(x.places)*(int(unsafe.Sizeof(mapPlace{}))+text) + 4*(cap(x.of)+cap(x.byID)+cap(x.ranked)+cap(x.near))
}

// keep takes what is known of the mentions, unless most of them have gone. The last blocks are read again: among the last numbers
// some may be missing, as what machines write at the same time is there in any order.
func (x *mapIndex) keep(before *mapIndex) {
	n := 0
	for _, b := range before.mentions {
		n += b.n
	}
	if n > 2*before.placed+10_000 || len(before.mentions) < 2 {
		return
	}
	x.mentions = slices.Clone(before.mentions[:len(before.mentions)-2])
	for _, account := range before.account.texts {
		x.account.of(account)
	}
}

// readPlaces reads the places. They come in the same order as before, but for some: who is still called the same keeps the text.
func (x *mapIndex) readPlaces(ctx context.Context, store *queue.Store, before *mapIndex) error {
	var old []mapPlace // that have not come yet
	if before != nil {
		old = before.places
	}
	return store.MapPlaces(ctx, func(p queue.MapPlace) {
		text := ""
		for i := range min(len(old), 10) {
			if o := &old[i]; o.id() == p.ID {
				if o.shown() == p.Name {
					text = o.text
				}
				old = old[i+1:]
				break
			}
		}
		x.addPlace(p, text)
	})
}

// addPlace adds a place; text is its text when that is known.
func (x *mapIndex) addPlace(p queue.MapPlace, text string) {
	if text == "" {
		text = p.ID + p.Name
		if folded := searchable(p.Name); folded != p.Name {
			text += folded
		}
	}
	m := mapPlace{text: text, name: uint32(len(p.ID)), searched: uint32(len(p.ID) + len(p.Name)), category: x.category.of(kindOf(p.Category)), area: x.area.of(areaOf(p.Address))}
	if p.Lat != 0 && p.Lng != 0 && math.Abs(p.Lat) <= 90 && math.Abs(p.Lng) <= 180 {
		m.lat, m.lng = int32(math.Round(p.Lat*degree)), int32(math.Round(p.Lng*degree))
	}
	x.places = append(x.places, m)
}

// addMention reports whether a block was added for it.
func (x *mapIndex) addMention(m queue.MapMention) (grown bool) {
	key := m.ID / blockSize
	if n := len(x.mentions); n == 0 || x.mentions[n-1].key != key {
		x.mentions, grown = append(x.mentions, mapBlock{key: key, said: new([blockSize]mapMention)}), true
	}
	who := 2 * (1 + uint32(x.account.of(m.Account)))
	if m.Ad {
		who++
	}
	b := &x.mentions[len(x.mentions)-1]
	b.said[m.ID%blockSize] = mapMention{uint32(max(0, m.At.Unix())), who}
	b.n++
	return grown
}

// assign gives the mentions to their places, and counts the places of each account. What came between the readings is there next
// time.
func (x *mapIndex) assign(ctx context.Context, store *queue.Store) (byAccount []int, err error) {
	byAccount = make([]int, len(x.account.texts))
	seen := make([]int32, len(x.account.texts)) // 1 and the last place that an account was counted for
	at := 0
	err = store.MapPlaced(ctx, func(mention int64, place string) {
		for at < len(x.byID) && x.places[x.byID[at]].id() < place {
			at++
		}
		b, ok := slices.BinarySearchFunc(x.mentions, mention/blockSize, func(b mapBlock, key int64) int { return cmp.Compare(b.key, key) })
		if !ok || at == len(x.byID) || x.places[x.byID[at]].id() != place {
			return
		}
		m := x.mentions[b].said[mention%blockSize]
		if m.who == 0 {
			return
		}
		i := x.byID[at]
		p := &x.places[i]
		x.of[b*blockSize+int(mention%blockSize)] = i + 1
		x.placed++
		p.posts, p.newest = p.posts+1, max(p.newest, m.at)
		if a := m.who/2 - 1; seen[a] != i+1 {
			seen[a] = i + 1
			byAccount[a]++
		}
	})
	return byAccount, err
}

func (x *mapIndex) compareIDs(a, b int32) int {
	return strings.Compare(x.places[a].id(), x.places[b].id())
}

// order lists the places that somebody names.
func (x *mapIndex) order() {
	x.ranked = make([]int32, 0, len(x.places))
	x.near = make([]int32, 0, len(x.places))
	for i := range x.places {
		p := &x.places[i]
		if p.posts == 0 {
			continue
		}
		x.ranked = append(x.ranked, int32(i))
		if p.placed() {
			x.near = append(x.near, int32(i))
		}
	}
	slices.SortFunc(x.ranked, func(a, b int32) int {
		p, q := &x.places[a], &x.places[b]
		if n := cmp.Or(cmp.Compare(q.posts, p.posts), cmp.Compare(q.newest, p.newest)); n != 0 {
			return n
		}
		return x.compareIDs(a, b)
	})
	slices.SortFunc(x.near, func(a, b int32) int {
		if n := x.places[a].beside(&x.places[b]); n != 0 {
			return n
		}
		return x.compareIDs(a, b)
	})
}

// beside orders places so that neighbours follow each other: as if the bits of both coordinates were one number, in turn.
func (p *mapPlace) beside(q *mapPlace) int {
	if bits.Len32(uint32(p.lng^q.lng)) > bits.Len32(uint32(p.lat^q.lat)) {
		return cmp.Compare(p.lng, q.lng)
	}
	return cmp.Compare(p.lat, q.lat)
}

// count tells what there is to filter by.
func (x *mapIndex) count(byAccount []int) {
	categories, areas := make([]int, len(x.category.texts)), make([]int, len(x.area.texts))
	for _, i := range x.ranked {
		categories[x.places[i].category]++
		areas[x.places[i].area]++
	}
	x.accounts, x.categories, x.areas = x.account.choices(byAccount, 0), x.category.choices(categories, '>'), x.area.choices(areas, ' ')
}

// prefixes are a text's beginnings up to each separator, and the text itself; none of an empty one.
func prefixes(s string, separator rune) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i, r := range s {
			if r == separator && i > 0 && !yield(s[:i]) {
				return
			}
		}
		if s != "" {
			yield(s)
		}
	}
}

// choices lists the texts, and their beginnings up to each separator, with how many places each leaves; places are those that have
// the whole text. What is part of another is set in below it.
func (t *terms) choices(places []int, separator rune) []mapChoice {
	counts := map[string]int{}
	for i, n := range places {
		for part := range prefixes(t.texts[i], separator) {
			if n > 0 {
				counts[part] += n
			}
		}
	}
	all := make([]mapChoice, 0, len(counts))
	for value, n := range counts {
		text := value
		if i := strings.LastIndex(value, string(separator)); separator != 0 && i >= 0 {
			text = strings.Repeat("\u2003", strings.Count(value, string(separator))) + value[i+len(string(separator)):]
		}
		all = append(all, mapChoice{value, text, n})
	}
	slices.SortFunc(all, func(a, b mapChoice) int { return strings.Compare(a.Value, b.Value) })
	return all
}

// kindOf is a finder's category without what says nothing: everything here is to eat.
func kindOf(category string) string {
	var parts []string
	for part := range strings.SplitSeq(category, ">") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) > 1 && parts[0] == "음식점" {
		parts = parts[1:]
	}
	return strings.Join(parts, ">")
}

// areaOf is the province in its short form and the city of an address: 서울 성동구. The finders write provinces differently.
func areaOf(address string) string {
	var words [2]string
	n := 0
	for word := range strings.FieldsSeq(address) {
		if words[n] = word; n == 1 {
			break
		}
		n++
	}
	province := []rune(words[0])
	if len(province) < 2 || words[1] == "" {
		return ""
	}
	short := string(province[:2])
	if len(province) > 3 && province[3] == '도' { // 충청북도
		short = string([]rune{province[0], province[2]})
	}
	return short + " " + words[1]
}

// searchable is a text as it is compared with what somebody searches.
func searchable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// mapFilter says which places are shown; the zero value all.
type mapFilter struct {
	Account  string
	Category string // or the beginning of one, up to a >
	Area     string // a province, or a city in it
	Query    string // part of the name
	From, To string // Korean days, 2026-11-20, of the post; both belong to it
	Ad       string // "yes" or "no"
}

// chosen returns the places of a list that a filter leaves, in the list's order.
func (x *mapIndex) chosen(f mapFilter, of []int32) []int32 {
	if f == (mapFilter{}) {
		return of
	}
	said, category, area, query := x.said(f), x.category.which(f.Category, ">"), x.area.which(f.Area, " "), searchable(f.Query)
	var all []int32
	for _, i := range of {
		p := &x.places[i]
		if (said == nil || said[i]) && (category == nil || category[p.category]) && (area == nil || area[p.area]) && strings.Contains(p.folded(), query) {
			all = append(all, i)
		}
	}
	return all
}

// said tells of each place whether a mention of it is as a filter wants it; nil when every one is.
func (x *mapIndex) said(f mapFilter) []bool {
	account := uint32(0)
	if f.Account != "" {
		a, ok := x.account.number[f.Account]
		if !ok {
			return make([]bool, len(x.places))
		}
		account = uint32(a) + 1
	}
	from, to := instants(f.From, f.To)
	if account == 0 && from == 0 && to == math.MaxInt64 && f.Ad == "" {
		return nil
	}
	all := make([]bool, len(x.places))
	for b := range x.mentions {
		said := x.mentions[b].said
		for n, place := range x.of[b*blockSize : (b+1)*blockSize] {
			m := said[n]
			if place > 0 && (account == 0 || m.who/2 == account) && int64(m.at) >= from && int64(m.at) < to && (f.Ad == "" || (m.who%2 == 1) == (f.Ad == "yes")) {
				all[place-1] = true
			}
		}
	}
	return all
}

// instants are the Unix seconds from which and before which posts of the days are.
func instants(from, to string) (begin, end int64) {
	end = math.MaxInt64
	if t, err := time.ParseInLocation(time.DateOnly, from, korea); err == nil {
		begin = t.Unix()
	}
	if t, err := time.ParseInLocation(time.DateOnly, to, korea); err == nil {
		end = t.AddDate(0, 0, 1).Unix()
	}
	return begin, end
}

// mapBox is a part of the map; the zero value all of it, and what has no position.
type mapBox struct{ south, west, north, east int32 }

func (b mapBox) holds(p *mapPlace) bool {
	return b == mapBox{} || (p.placed() && p.lat >= b.south && p.lat <= b.north && p.lng >= b.west && p.lng <= b.east)
}
