package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// The kinds of hard mentions, Mention.Kind. Those that end in a place that the map has not, or cannot tell, mean none.
const (
	hardStation   = "branch by its station"
	hardChain     = "chain, no branch"
	hardTwoNear   = "two branches near, no address"
	hardNearOne   = "two branches near, address"
	hardNamesake  = "namesake, area named"
	hardNowhere   = "namesake, no area"
	hardSpelling  = "similar name first"
	hardMissing   = "only a similar name"
	hardClosed    = "closed, successor there"
	hardSuccessor = "successor"
	hardRenamed   = "renamed"
)

// hardShare is how many captions of a hard world are about hard mentions.
const hardShare = 0.6

// hardMention is something to write about.
type hardMention struct {
	kind    string
	truth   *Place // nil when the map has it not, or the caption does not tell which
	visited *Place // where the writer was
	name    string
	branch  string
	area    string
	address bool
}

// Stations at which a district's first area has a chain's branch, and the branch's name without 점.
const stationTable = `성수동:성수 이태원:이태원 망원동:망원 홍대:홍대입구 합정:합정 을지로:을지로3가 신당:신당 안국:안국 강남역:강남 청담:청담 방배:방배 잠실:잠실 건대:건대입구 문래:문래 여의도:여의도 마곡:마곡 공릉:공릉 전포:전포 해운대:해운대`

// addHard puts what is hard to tell apart on the map, and returns what there is to write about it. Names are used nowhere else.
func (w *world) addHard(rng *rand.Rand) {
	h := hardWorld{w: w, rng: rng}
	for range 4 {
		h.chain()
		h.near()
	}
	for range 10 {
		h.namesakes()
		h.spelling()
		h.similarOnly()
		h.replaced()
		h.renamed()
	}
	for _, p := range h.places {
		p.popular = rng.IntN(len(w.food))
		p.search = newSearchText(p)
		p.search.decoy = h.decoys[p]
	}
}

type hardWorld struct {
	w      *world
	rng    *rand.Rand
	places []*Place
	decoys map[*Place]string // the name that each comes first for
}

func (h *hardWorld) add(d *district, k *kind, brand, branch string) *Place {
	p := h.w.add(h.rng, d, k, brand, branch)
	h.places = append(h.places, p)
	return p
}

// first lets a place stand before the others in the answer to another's name.
func (h *hardWorld) first(p *Place, name string) {
	if h.decoys == nil {
		h.decoys = map[*Place]string{}
	}
	h.decoys[p] = compact(name)
}

func (h *hardWorld) write(m hardMention) { h.w.hard = append(h.w.hard, m) }

func (h *hardWorld) district() *district { return h.w.districts[h.rng.IntN(len(h.w.districts))] }

// elsewhere is a district of another province.
func (h *hardWorld) elsewhere(d *district) *district {
	for {
		if o := h.district(); o.sido != d.sido {
			return o
		}
	}
}

func (h *hardWorld) kind() *kind { return h.w.kinds[h.rng.IntN(len(h.w.kinds)-1)] } // the last begins with &

// name is a name that nobody has.
func (h *hardWorld) name() (prefix string, k *kind) {
	prefixes := strings.Fields(prefixTable)
	for {
		prefix, k = prefixes[h.rng.IntN(len(prefixes))], h.kind()
		if n := prefix + k.suffix; !h.w.used[n] {
			h.w.used[n] = true
			return prefix, k
		}
	}
}

// chain is a brand with a branch at eight stations. Captions name the station, or nothing.
func (h *hardWorld) chain() {
	prefix, k := h.name()
	brand := prefix + k.suffix
	byArea := map[string]*district{}
	for _, d := range h.w.districts {
		byArea[d.areas[0]] = d
	}
	stations := strings.Fields(stationTable)
	var last *Place
	for _, i := range h.rng.Perm(len(stations))[:8] {
		area, station, _ := strings.Cut(stations[i], ":")
		last = h.add(byArea[area], k, brand, station+"점")
		h.write(hardMention{kind: hardStation, truth: last, visited: last, name: brand, area: station + "역"})
		h.write(hardMention{kind: hardStation, truth: last, visited: last, name: brand, branch: station + "역점"})
	}
	h.first(last, brand)
	for range 4 {
		h.write(hardMention{kind: hardChain, visited: last, name: brand})
	}
}

// near is a brand with two branches in one district, named after their streets.
func (h *hardWorld) near() {
	prefix, k := h.name()
	brand := prefix + k.suffix
	d := h.district()
	for _, road := range d.roads[:2] {
		p := h.add(d, k, brand, road+"점")
		h.write(hardMention{kind: hardNearOne, truth: p, visited: p, name: brand, area: d.areas[0], address: true})
		h.write(hardMention{kind: hardTwoNear, visited: p, name: brand, area: d.areas[0]})
	}
}

// namesakes are two shops of one name in two provinces; the one that the caption does not mean is found first.
func (h *hardWorld) namesakes() {
	prefix, k := h.name()
	name := prefix + k.suffix
	d := h.district()
	p, other := h.add(d, k, name, ""), h.add(h.elsewhere(d), k, name, "")
	h.first(other, name)
	h.write(hardMention{kind: hardNamesake, truth: p, visited: p, name: name, area: one(h.rng, d.areas)})
	h.write(hardMention{kind: hardNowhere, visited: p, name: name})
}

// spelling is a shop beside one that is spelt nearly alike and found first.
func (h *hardWorld) spelling() {
	prefix, k, other := h.twoSpellings()
	d := h.district()
	p := h.add(d, k, prefix+k.suffix, "")
	h.first(h.add(d, k, other+k.suffix, ""), p.Name)
	h.write(hardMention{kind: hardSpelling, truth: p, visited: p, name: p.brand, area: one(h.rng, d.areas)})
}

// similarOnly is a shop that the map has not; elsewhere it has one that is spelt nearly alike.
func (h *hardWorld) similarOnly() {
	prefix, k, other := h.twoSpellings()
	d := h.district()
	h.first(h.add(h.elsewhere(d), k, other+k.suffix, ""), prefix+k.suffix)
	h.write(hardMention{kind: hardMissing, visited: h.ghost(d, k, prefix+k.suffix), name: prefix + k.suffix, area: one(h.rng, d.areas)})
}

// replaced is a shop that has closed; another one stands at its address.
func (h *hardWorld) replaced() {
	prefix, k := h.name()
	newPrefix, newKind := h.name()
	d := h.district()
	p := h.add(d, newKind, newPrefix+newKind.suffix, "")
	old := h.ghost(d, k, prefix+k.suffix)
	old.dong, old.road, old.lot, old.unit = p.dong, p.road, p.lot, p.unit
	old.print()
	h.first(p, old.brand)
	h.write(hardMention{kind: hardClosed, visited: old, name: old.brand, area: d.areas[0], address: true})
	h.write(hardMention{kind: hardSuccessor, truth: p, visited: p, name: p.brand, area: d.areas[0], address: true})
}

// renamed is a shop that the map has under its new name: the same first half, the same address.
func (h *hardWorld) renamed() {
	prefix, k, other := "", h.kind(), h.kind()
	for prefix == "" || other == k || h.w.used[prefix+other.suffix] {
		prefix, k = h.name()
		other = h.kind()
	}
	h.w.used[prefix+other.suffix] = true
	d := h.district()
	p := h.add(d, other, prefix+other.suffix, "")
	h.write(hardMention{kind: hardRenamed, truth: p, visited: p, name: prefix + k.suffix, area: d.areas[0], address: true})
}

// twoSpellings are a free first half of a name and another that differs in one vowel.
func (h *hardWorld) twoSpellings() (prefix string, k *kind, other string) {
	for {
		prefix, k = h.name()
		if other = respell(prefix); other != prefix && !h.w.used[other+k.suffix] {
			h.w.used[other+k.suffix] = true
			return prefix, k, other
		}
	}
}

// ghost is a shop that is not on the map.
func (h *hardWorld) ghost(d *district, k *kind, name string) *Place {
	p := &Place{brand: name, Name: name, district: d, kind: k, dong: d.dongs[0], lot: fmt.Sprint(901 + h.rng.IntN(90)), road: fmt.Sprint(d.roads[0], " ", 131+h.rng.IntN(60))}
	p.print()
	return p
}

// respell changes the last vowel that has a sister: 버들 and 버둘.
func respell(s string) string {
	const first, vowels, ends = 0xAC00, 21, 28
	sisters := map[rune]rune{0: 4, 4: 0, 8: 13, 13: 8, 18: 20, 20: 18, 2: 6, 6: 2} // ㅏㅓ ㅗㅜ ㅡㅣ ㅑㅕ
	r := []rune(s)
	for i := len(r) - 1; i >= 0; i-- {
		if n := r[i] - first; n >= 0 && n < 11172 {
			if sister, ok := sisters[n/ends%vowels]; ok {
				r[i] += (sister - n/ends%vowels) * ends
				return string(r)
			}
		}
	}
	return s
}

// writeHard is a caption about something hard.
func (w *world) writeHard(rng *rand.Rand, v *voice) *caption {
	h := w.hard[rng.IntN(len(w.hard))]
	p := h.visited
	m := Mention{Name: h.name, Branch: h.branch, Area: h.area, Place: h.truth, Kind: h.kind}
	var b strings.Builder
	b.WriteString(one(rng, v.hooks) + "\n\n")
	m.Quote = strings.TrimSpace(h.name + " " + h.branch)
	b.WriteString(strings.TrimSpace(h.area+" "+m.Quote) + one(rng, []string{" 다녀왔어요", " 방문 완료", " 또 갔어요 ㅎㅎ", " 후기", p.kind.emoji}) + "\n")
	if h.address {
		m.Address = spell(rng, p)
		b.WriteString("📍" + m.Address + "\n")
	}
	b.WriteByte('\n')
	m.Menu = dishes(rng, p.kind, &b, "- ")
	for range rng.IntN(3) {
		b.WriteString(one(rng, extras) + "\n")
	}
	w.tagLine(rng, &b, p, h.area)
	return &caption{text: strings.TrimSpace(b.String()), mentions: []Mention{m}}
}
