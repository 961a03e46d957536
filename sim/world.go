package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Place is a restaurant on the map, as Naver prints it.
type Place struct {
	ID          string  `json:"id"` // Kakao's id
	Name        string  `json:"name"`
	Category    string  `json:"category,omitempty"`
	Address     string  `json:"address,omitempty"`
	RoadAddress string  `json:"roadAddress,omitempty"`
	Phone       string  `json:"phone,omitempty"`
	Link        string  `json:"link,omitempty"`
	Lat         float64 `json:"lat,omitempty"`
	Lng         float64 `json:"lng,omitempty"`

	brand, branch string // name without the branch, and the branch
	kakaoName     string // Kakao's name, which may be another
	dong, road    string // 성수동2가; 연무장길 12-3
	lot, unit     string // 301-2; 1층
	district      *district
	kind          *kind
	twin          bool // a namesake stands in the same district: only an address tells them apart
	popular       int  // rank; 0 is visited most
	search        searchText
}

// world is the map and who writes about it.
type world struct {
	mute      bool // no new post has a caption
	districts []*district
	kinds     []*kind
	places    []*Place
	food      []*Place // places without car parks
	chains    map[string]*kind
	unknown   []string
	accounts  []*account
	byName    map[string]*account
	posts     map[int64]*post
	captions  map[string]*caption // by text
	written   []*caption          // those that name a place, in order of writing
	used      map[string]bool     // name and district
	hard      []hardMention       // empty in an ordinary world
}

// newWorld draws the map.
func newWorld(rng *rand.Rand, hard bool) *world {
	w := &world{
		districts: districts(), kinds: kinds(), chains: map[string]*kind{}, unknown: strings.Fields(unknownTable),
		byName: map[string]*account{}, posts: map[int64]*post{}, captions: map[string]*caption{}, used: map[string]bool{},
	}
	prefixes := strings.Fields(prefixTable)
	shuffled := func() []*district {
		ds := append([]*district(nil), w.districts...)
		rng.Shuffle(len(ds), func(i, j int) { ds[i], ds[j] = ds[j], ds[i] })
		return ds
	}
	name := func() (string, *kind) {
		for {
			k := w.kinds[rng.IntN(len(w.kinds))]
			n := prefixes[rng.IntN(len(prefixes))] + k.suffix
			if !w.used[n] {
				w.used[n] = true
				return n, k
			}
		}
	}
	for c := range strings.FieldsSeq(chainTable) {
		brand, suffix, _ := strings.Cut(c, ":")
		k := w.kindOf(suffix)
		w.chains[brand] = k
		for _, d := range shuffled()[:6] {
			w.add(rng, d, k, brand, d.branch())
		}
	}
	for range 18 { // namesakes in three provinces
		n, k := name()
		seen := map[string]bool{}
		for _, d := range shuffled() {
			if !seen[d.sido] && len(seen) < 3 {
				seen[d.sido] = true
				w.add(rng, d, k, n, "")
			}
		}
	}
	for range 8 { // a shop that moved: the map still has the old one
		n, k := name()
		d := w.districts[rng.IntN(len(w.districts))]
		w.add(rng, d, k, n, "").twin = true
		w.add(rng, d, k, n, "").twin = true
	}
	for range 10 { // two shops of nearly one name in one building
		n, k := name()
		d := w.districts[rng.IntN(len(w.districts))]
		a := w.add(rng, d, k, n, "")
		other := w.kinds[rng.IntN(len(w.kinds))]
		if prefix := strings.TrimSuffix(n, k.suffix); !w.used[prefix+other.suffix] {
			w.used[prefix+other.suffix] = true
			b := w.add(rng, d, other, prefix+other.suffix, "")
			b.Lat, b.Lng, b.road, b.dong, b.lot, a.unit, b.unit = a.Lat, a.Lng, a.road, a.dong, a.lot, "1층", "2층"
			a.print()
			b.print()
		}
	}
	for i := 0; len(w.places) < 400; i++ {
		n, k := name()
		w.add(rng, w.districts[i%len(w.districts)], k, n, "")
	}
	w.finish(rng)
	if hard {
		w.addHard(rng)
	}
	return w
}

func (w *world) kindOf(suffix string) *kind {
	for _, k := range w.kinds {
		if k.suffix == suffix {
			return k
		}
	}
	return w.kinds[0]
}

// add puts a place somewhere in a district.
func (w *world) add(rng *rand.Rand, d *district, k *kind, brand, branch string) *Place {
	p := &Place{
		ID: fmt.Sprint(10_000_000 + rng.IntN(1_990_000_000)), brand: brand, branch: branch, district: d, kind: k, Category: k.category,
		dong: d.dongs[rng.IntN(len(d.dongs))],
		Lat:  d.lat + (rng.Float64()-0.5)*0.007,
		Lng:  d.lng + (rng.Float64()-0.5)*0.009,
	}
	p.Name = strings.TrimSpace(brand + " " + branch)
	p.kakaoName = p.Name
	p.road = fmt.Sprintf("%s %d", d.roads[rng.IntN(len(d.roads))], 2+rng.IntN(118))
	if rng.IntN(3) == 0 {
		p.road += fmt.Sprintf("-%d", 1+rng.IntN(19))
	}
	p.lot = fmt.Sprintf("%d-%d", 11+rng.IntN(800), 1+rng.IntN(60))
	if rng.IntN(3) == 0 {
		p.unit = []string{"1층", "2층", "지하 1층", "101호", "1층 102호"}[rng.IntN(5)]
	}
	switch middle := fmt.Sprintf("%04d-%04d", 1000+rng.IntN(9000), rng.IntN(10000)); rng.IntN(4) {
	case 0:
		p.Phone = fmt.Sprintf("0507-%s", middle)
	case 1, 2:
		p.Phone = fmt.Sprintf("%s-%d-%s", d.tel, 200+rng.IntN(700), middle[5:])
	}
	switch rng.IntN(6) {
	case 0:
		p.Link = fmt.Sprintf("https://www.instagram.com/sim_%s/", p.ID)
	case 1:
		p.Link = fmt.Sprintf("https://app.catchtable.co.kr/ct/shop/sim%s", p.ID)
	}
	p.print()
	w.places = append(w.places, p)
	return p
}

// print writes the addresses from their parts.
func (p *Place) print() {
	head := p.district.sido + " " + p.district.sigungu
	p.Address = strings.TrimSpace(head + " " + p.dong + " " + p.lot + " " + p.unit)
	road := p.road
	if town, _, ok := strings.Cut(p.dong, " "); ok { // 애월읍 애월리: the town goes into the road address
		road = town + " " + road
	}
	p.RoadAddress = strings.TrimSpace(head + " " + road + " " + p.unit)
}

// finish adds what stands beside the restaurants, ranks them, and prepares the search.
func (w *world) finish(rng *rand.Rand) {
	w.food = append(w.food, w.places...)
	rng.Shuffle(len(w.food), func(i, j int) { w.food[i], w.food[j] = w.food[j], w.food[i] })
	single := func(p *Place) bool { return p.branch == "" && !p.twin && p.unit == "" }
	var parks, renamed, roadless int
	for i, p := range w.food {
		p.popular = i
		switch {
		case parks < 6 && single(p):
			parks++
			park := *p
			park.ID, park.Name, park.brand, park.Category = p.ID+"1", p.Name+" 주차장", p.brand+" 주차장", "교통,수송>주차장"
			park.kakaoName, park.kind, park.popular = park.Name, &kind{category: park.Category, kakao: "교통,수송 > 교통시설 > 주차장", group: "PK6"}, len(w.food)
			park.Phone, park.Link = "", ""
			w.places = append(w.places, &park)
		case renamed < 6 && single(p):
			renamed++
			p.kakaoName = p.brand + " " + p.district.branch()
		case roadless < 4 && single(p):
			roadless++
			p.RoadAddress = ""
		}
	}
	for _, p := range w.places {
		p.search = newSearchText(p)
	}
}
