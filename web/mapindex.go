package web

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"sumbi/queue"
)

const (
	mapFresh = 5 * time.Second  // what was read is believed for so long
	mapShare = 20               // and longer where reading takes long: at most so much of the time is spent in it
	mapOther = time.Minute      // what others have changed is seen after this
	mapIdle  = 10 * time.Minute // nobody looks any more: then its memory is given back
)

// mapCache keeps what the map needs of the state in memory while somebody looks at the map: about 150 bytes a place and 30 a
// mention. So every filter is answered without a look at the state. Who looks waits only for the first reading; later ones are
// made while what was read before is shown.
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
	case c.index == before && !c.must: // nobody has read or forgotten it meanwhile
		c.take(index, changed, began)
	}
}

func (c *mapCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index = nil
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
	if c.idle != nil {
		c.idle.Stop()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// mapIndex is every place with those who name it. It is not changed once it is read.
type mapIndex struct {
	places   []mapPlace   // by id
	mentions []mapMention // by number, also those without a place: what is known of one stays
	named    []int32      // mentions of the places, place by place
	ranked   []int32      // places, those named most first
	near     []int32      // places with a position, neighbours beside each other

	accounts, categories, areas []mapChoice // what there is to filter by, with the places of each
	accountOf                   map[string]int32
	accountNames                []string
}

type mapPlace struct {
	id, name, folded string
	category, area   string
	lat, lng         int32 // hundred-thousandths of a degree, about a metre; both 0: unknown
	from, to         int32 // its mentions in named
	newest           uint32
}

type mapMention struct {
	id      int64
	at      uint32 // Unix seconds of the post
	account int32
	ad      bool
}

// mapChoice is something to filter by, and how many places it leaves.
type mapChoice struct {
	Value, Text string
	N           int
}

// degree is how many units of a position are one degree.
const degree = 1e5

func (p *mapPlace) placed() bool { return p.lat != 0 || p.lng != 0 }

// readMap reads the places. Of before, which may be nil, it takes what does not change.
func readMap(ctx context.Context, store *queue.Store, before *mapIndex) (*mapIndex, error) {
	x := &mapIndex{accountOf: map[string]int32{}}
	last := int64(0)
	if before != nil && len(before.mentions) < 2*len(before.named)+10_000 {
		x.mentions, x.accountNames = slices.Clip(before.mentions), slices.Clip(before.accountNames)
		for i, name := range x.accountNames {
			x.accountOf[name] = int32(i)
		}
		if n := len(x.mentions); n > 0 {
			last = x.mentions[n-1].id
		}
	}
	texts := map[string]string{} // each category and area once
	shared := func(s string) string {
		if t, ok := texts[s]; ok {
			return t
		}
		texts[s] = s
		return s
	}
	g, reading := errgroup.WithContext(ctx)
	g.Go(func() error {
		return store.MapPlaces(reading, func(p queue.MapPlace) {
			m := mapPlace{id: p.ID, name: p.Name, folded: searchable(p.Name), category: shared(kindOf(p.Category)), area: shared(areaOf(p.Address))}
			if p.Lat != 0 && p.Lng != 0 && math.Abs(p.Lat) <= 90 && math.Abs(p.Lng) <= 180 {
				m.lat, m.lng = int32(math.Round(p.Lat*degree)), int32(math.Round(p.Lng*degree))
			}
			x.places = append(x.places, m)
		})
	})
	g.Go(func() error {
		return store.MapMentions(reading, last, func(m queue.MapMention) {
			a, ok := x.accountOf[m.Account]
			if !ok {
				a = int32(len(x.accountNames))
				x.accountOf[m.Account] = a
				x.accountNames = append(x.accountNames, m.Account)
			}
			x.mentions = append(x.mentions, mapMention{id: m.ID, at: uint32(max(0, m.At.Unix())), account: a, ad: m.Ad})
		})
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(x.places, func(a, b mapPlace) int { return strings.Compare(a.id, b.id) })
	if err := x.assign(ctx, store); err != nil {
		return nil, err
	}
	x.order()
	x.count()
	return x, nil
}

// assign gives the mentions to their places. What came between the readings is there next time.
func (x *mapIndex) assign(ctx context.Context, store *queue.Store) error {
	at := 0
	err := store.MapPlaced(ctx, func(mention int64, place string) {
		for at < len(x.places) && x.places[at].id < place {
			at++
		}
		i, ok := slices.BinarySearchFunc(x.mentions, mention, func(m mapMention, id int64) int { return cmp.Compare(m.id, id) })
		if !ok || at == len(x.places) || x.places[at].id != place {
			return
		}
		p := &x.places[at]
		if p.to == 0 {
			p.from = int32(len(x.named))
		}
		x.named = append(x.named, int32(i))
		p.to, p.newest = int32(len(x.named)), max(p.newest, x.mentions[i].at)
	})
	// A place that nobody names goes.
	x.places = slices.DeleteFunc(x.places, func(p mapPlace) bool { return p.to == 0 })
	return err
}

func (x *mapIndex) order() {
	x.ranked = make([]int32, len(x.places))
	squares := make([]uint64, len(x.places))
	for i := range x.places {
		x.ranked[i] = int32(i)
		if x.places[i].placed() {
			x.near = append(x.near, int32(i))
			squares[i] = x.places[i].square()
		}
	}
	slices.SortFunc(x.ranked, func(a, b int32) int {
		p, q := &x.places[a], &x.places[b]
		if n, m := p.to-p.from, q.to-q.from; n != m {
			return cmp.Compare(m, n)
		}
		return cmp.Or(cmp.Compare(q.newest, p.newest), cmp.Compare(a, b))
	})
	slices.SortFunc(x.near, func(a, b int32) int {
		return cmp.Or(cmp.Compare(squares[a], squares[b]), cmp.Compare(a, b))
	})
}

// square tells neighbours: the bits of both coordinates in turn.
func (p *mapPlace) square() uint64 {
	return spread(uint32(p.lat)^1<<31)<<1 | spread(uint32(p.lng)^1<<31)
}

// spread puts a zero before each bit.
func spread(n uint32) uint64 {
	x := uint64(n)
	for _, step := range []struct {
		by   int
		mask uint64
	}{{16, 0x0000ffff0000ffff}, {8, 0x00ff00ff00ff00ff}, {4, 0x0f0f0f0f0f0f0f0f}, {2, 0x3333333333333333}, {1, 0x5555555555555555}} {
		x = (x | x<<step.by) & step.mask
	}
	return x
}

// count tells what there is to filter by.
func (x *mapIndex) count() {
	accounts, categories, areas := map[string]int{}, map[string]int{}, map[string]int{}
	seen := make([]int32, len(x.accountNames)) // the last place that an account was counted for, and 1
	byAccount := make([]int, len(x.accountNames))
	for i := range x.places {
		p := &x.places[i]
		for part := range prefixes(p.category, '>') {
			categories[part]++
		}
		for part := range prefixes(p.area, ' ') {
			areas[part]++
		}
		for _, m := range x.named[p.from:p.to] {
			if a := x.mentions[m].account; seen[a] != int32(i)+1 {
				seen[a] = int32(i) + 1
				byAccount[a]++
			}
		}
	}
	for a, n := range byAccount {
		if n > 0 {
			accounts[x.accountNames[a]] = n
		}
	}
	x.accounts, x.categories, x.areas = mapChoices(accounts, 0), mapChoices(categories, '>'), mapChoices(areas, ' ')
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

// choices lists what was counted in the order of the texts. What is part of another is set in below it.
func mapChoices(counts map[string]int, separator rune) []mapChoice {
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
	words := strings.Fields(address)
	if len(words) < 2 {
		return ""
	}
	province := []rune(words[0])
	if len(province) < 2 {
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
	account := int32(-1)
	if f.Account != "" {
		a, ok := x.accountOf[f.Account]
		if !ok {
			return nil
		}
		account = a
	}
	from, to := instants(f.From, f.To)
	query := searchable(f.Query)
	byMention := account >= 0 || from > 0 || to < math.MaxInt64 || f.Ad != ""
	says := func(m mapMention) bool {
		return (account < 0 || m.account == account) && int64(m.at) >= from && int64(m.at) < to && (f.Ad == "" || m.ad == (f.Ad == "yes"))
	}
	var all []int32
	for _, i := range of {
		p := &x.places[i]
		if !within(p.category, f.Category, ">") || !within(p.area, f.Area, " ") || !strings.Contains(p.folded, query) {
			continue
		}
		if byMention && !slices.ContainsFunc(x.named[p.from:p.to], func(m int32) bool { return says(x.mentions[m]) }) {
			continue
		}
		all = append(all, i)
	}
	return all
}

func within(text, part, separator string) bool {
	return part == "" || text == part || strings.HasPrefix(text, part+separator)
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
