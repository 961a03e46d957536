package bigtest

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"sumbi/queue"
)

// The two pipelines; every tenth account is of the second.
const (
	first  = "matzip"
	second = "카페"
)

// Which posts are in what state. Their numbers fall with their age: 1 is the newest.
const (
	waitingTo = 1500 // up to here captions wait for a batch
	sentTo    = 3000 // and up to here they are in one
	batches   = 10   // that are done; older posts share them
)

// The runs, oldest first. The last is under way.
const (
	runs    = 9
	thisRun = 9
	walkers = 60 // accounts whose lists are being walked
)

const stampLayout = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(stampLayout) }

// world writes everything. What it draws is the same each time.
type world struct {
	*writer
	Size
	now      time.Time
	rand     *rand.Rand
	places   []queue.Place
	dishes   [][]string // of each place
	areas    []string
	next     int   // the next place that nobody has named yet
	taken    []int // how often each place was named
	labels   int
	jobs     int
	waits    []int // mentions that are still to be matched
	mentions int
}

func newWorld(now time.Time, size Size) *world {
	return &world{Size: size, now: now, rand: rand.New(rand.NewPCG(7, 11)), taken: make([]int, size.Places)}
}

func (g *world) all(w *writer) {
	g.writer = w
	g.makePlaces()
	g.writeAccounts()
	g.writePosts()
	g.writeRuns()
	g.writeJobs()
	g.writeRest()
}

// pick draws one of a list.
func pick[T any](g *world, of []T) T { return of[g.rand.IntN(len(of))] }

func (g *world) ago(d time.Duration) string { return stamp(g.now.Add(-d)) }

func pipelineOf(account int) string {
	if account%10 == 9 {
		return second
	}
	return first
}

// Account is the name of the account of that number, from 0.
func Account(n int) string {
	return fmt.Sprintf("%s.%s_%03d", []string{"seoul", "busan", "jeju", "daegu", "matzip", "bapsim"}[n%6], []string{"eats", "bap", "foodie", "tour", "note"}[n%5], n)
}

func (g *world) makePlaces() {
	towns, kinds, stem := towns(), kinds(), strings.Split(stems, ",")
	place := g.table("place", "id, finder, finder_id, name, compact, category, address, road_address, phone, link, query, lat, lng, first_at, updated_at")
	entry := g.table("place_entry", "id, place, by_hand, finder, finder_id, name, compact, category, address, road_address, phone, link, lat, lng, spot, found_at")
	candidate := g.table("candidate", "id, hash, finder, finder_id, name, category, address, road_address, phone, link, lat, lng, day")
	nasty := Nasty()
	for i := range g.Places {
		t, k := pick(g, towns), pick(g, kinds)
		name := pick(g, stem) + []string{"", "", " ", "네 "}[g.rand.IntN(4)] + k.sign
		if g.rand.IntN(5) == 0 {
			name += " " + strings.TrimSuffix(t.area, "동") + "점"
		}
		if i < len(nasty) {
			name = nasty[i]
		}
		p := queue.Place{
			ID: fmt.Sprintf("p%016x", g.rand.Uint64()), Finder: "naver", Name: name, Compact: strings.ReplaceAll(name, " ", ""), Category: k.category,
			Address: fmt.Sprintf("%s %s %s %d-%d", t.province, t.city, t.dong, 1+g.rand.IntN(900), 1+g.rand.IntN(99)),
			Road:    fmt.Sprintf("%s %s %s %d", t.province, t.city, t.road, 1+g.rand.IntN(300)),
			Lat:     round7(t.lat + g.rand.NormFloat64()*0.006), Lng: round7(t.lng + g.rand.NormFloat64()*0.008),
		}
		if i%40 == 39 { // two in one building
			p.Lat, p.Lng, p.Road = g.places[i-1].Lat, g.places[i-1].Lng, g.places[i-1].Road
		}
		if i%500 == 250 { // nobody knows where
			p.Lat, p.Lng = 0, 0
		}
		if i%3 == 0 {
			p.Finder, p.FinderID, p.Phone = "kakao", strconv.Itoa(10_000_000+i), fmt.Sprintf("0507-%04d-%04d", 1000+i%9000, i%10000)
			p.Link = "https://place.map.kakao.com/" + p.FinderID
		}
		var lat, lng any
		if p.Lat != 0 {
			lat, lng = p.Lat, p.Lng
		}
		seen := g.ago(time.Duration(i) * 17 * time.Minute)
		place.add(p.ID, p.Finder, p.FinderID, p.Name, p.Compact, p.Category, p.Address, p.Road, p.Phone, p.Link, "", lat, lng, seen, seen)
		spot := fmt.Sprintf("s%015x", i)
		entry.add(p.ID, p.ID, 0, p.Finder, p.FinderID, p.Name, p.Compact, p.Category, p.Address, p.Road, p.Phone, p.Link, p.Lat, p.Lng, spot, seen)
		if i%100 == 0 {
			entry.add(fmt.Sprintf("q%016x", i), p.ID, i/100%2, "naver", "", p.Name+" 본점", p.Compact+"본점", p.Category, p.Address, p.Road, "", "", p.Lat, p.Lng, spot, seen)
		}
		candidate.add(i+1, int64(g.rand.Uint64()), p.Finder, p.FinderID, p.Name, p.Category, p.Address, p.Road, p.Phone, p.Link, p.Lat, p.Lng, queue.Day(g.now))
		g.places, g.dishes, g.areas = append(g.places, p), append(g.dishes, k.dishes), append(g.areas, t.area)
	}
	place.flush()
	entry.flush()
	candidate.flush()
}

func round7(f float64) float64 { return math.Round(f*1e7) / 1e7 }

func (g *world) writeAccounts() {
	target := g.table("target", "pipeline, target, state, misses, total, checked_at, note, uid, name, shown, silent_since")
	walk := g.table("walk", "id, pipeline, target, list, state, run, step, cursor, mark, clean, newest, oldest, last_key, pages, expected, ended_at, note, cuts")
	for a := range g.Accounts {
		state, note, misses, total := "ok", "", 0, g.Posts/g.Accounts
		var silent any
		switch {
		case a%40 == 39:
			state, note, misses = "gone", "the upstream does not know it", 3
		case a%50 == 17:
			state, note = "private", "shows its posts to followers only"
		case a%25 == 3:
			silent = g.ago(time.Duration(60+a) * 24 * time.Hour)
		case a%33 == 5:
			total += 120
		}
		name := Account(a)
		renamed := ""
		if a%60 == 8 {
			renamed = name + ".official"
		}
		target.add(pipelineOf(a), name, state, misses, total, g.ago(3*time.Hour), note, strconv.Itoa(15_000_000_000+a), renamed, g.Posts/g.Accounts, silent)
		for l, list := range []string{"posts", "reels"} {
			id := 2*a + l + 1
			newest := g.postTime(a + 1)
			walkState, run, cuts, cursor, note := "idle", thisRun-1, 0, "", ""
			var ended any = g.ago(70 * time.Hour)
			switch {
			case state != "ok":
				walkState = state
			case a < walkers && pipelineOf(a) == first && id%3 > 0:
				walkState, run, cursor, ended = "walking", thisRun, fmt.Sprintf("cursor-%d", id), nil
			case a < walkers && pipelineOf(a) == first:
				run, ended = thisRun, g.ago(10*time.Minute)
			case id%57 == 0:
				walkState, cuts, note = "unfinished", 2, "page 7: status 502: bad gateway"
			}
			walk.add(id, pipelineOf(a), name, list, walkState, run, 20, cursor, stamp(newest), thisRun-1, stamp(newest), g.ago(700*24*time.Hour), "", 3, 42, ended, note, cuts)
		}
	}
	target.flush()
	walk.flush()
}

// postTime is when a post was published. Each account has one of so many posts in a row as there are accounts.
func (g *world) postTime(post int) time.Time {
	n, account := (post-1)/g.Accounts, (post-1)%g.Accounts
	return g.now.Add(-24*time.Hour - time.Duration(n)*33*time.Hour - time.Duration(account)*7*time.Minute).Truncate(time.Second)
}

type restaurant struct {
	Name    string  `json:"name"`
	Branch  *string `json:"branch"`
	Address *string `json:"address"`
	Area    *string `json:"area"`
	Phone   *string `json:"phone"`
	Menu    []dish  `json:"menu"`
	Ad      bool    `json:"ad"`
	Quote   string  `json:"quote"`
}

type dish struct {
	Name  string `json:"name"`
	Price *int   `json:"price"`
}

// naming is a restaurant of a post: the number of its place, and what the post says.
type naming struct {
	place int
	says  restaurant
}

// Key is the key of a post of that number, from 1: the newest.
func (g *world) key(post int) uint64 {
	return uint64(g.postTime(post).UnixMilli()-1314220021721)<<23 | uint64(post)
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func code(key uint64) string {
	var b []byte
	for ; key > 0; key /= 64 {
		b = append(b, letters[key%64])
	}
	slices.Reverse(b)
	return string(b)
}

// choose draws the place that a post names: now and then one that nobody has named, when fresh, else a favourite.
func (g *world) choose(fresh bool) int {
	if fresh && g.next < g.Places && g.rand.IntN(10) < 6 {
		g.next++
		return g.next - 1
	}
	f := g.rand.Float64()
	return int(f * f * f * float64(g.Places))
}

func (g *world) names(fresh bool) (all []naming) {
	n := []int{0, 1, 1, 1, 1, 1, 2, 2, 2, 3}[g.rand.IntN(10)]
	ad := g.rand.IntN(5) == 0
	for range n {
		i := g.choose(fresh)
		p := g.places[i]
		r := restaurant{Name: p.Name, Area: &g.areas[i], Ad: ad, Quote: g.areas[i] + " " + p.Name, Menu: []dish{}}
		if g.rand.IntN(4) == 0 {
			r.Address = &p.Road
		}
		for _, d := range g.dishes[i] {
			price := 1000 * (6 + g.rand.IntN(30))
			r.Menu = append(r.Menu, dish{d, &price})
		}
		if i < len(Nasty()) {
			r.Menu = append(r.Menu, dish{p.Name, nil})
		}
		all = append(all, naming{i, r})
	}
	return all
}

func caption(all []naming) string {
	var b strings.Builder
	b.WriteString("오늘의 기록 ✍️ 주말에 다녀온 곳\n\n")
	for _, n := range all {
		b.WriteString("📍 " + n.says.Quote + "\n")
		for _, d := range n.says.Menu {
			if d.Price != nil {
				fmt.Fprintf(&b, "- %s %d원\n", d.Name, *d.Price)
			}
		}
		if n.says.Ad {
			b.WriteString("#협찬 제품을 제공받아 작성했습니다\n")
		}
	}
	b.WriteString("\n웨이팅은 있지만 회전이 빨라요. 또 가고 싶은 집!\n#맛집 #맛스타그램 #먹스타그램")
	return b.String()
}

func (g *world) postData(post int, text string) string {
	key := g.key(post)
	b, _ := json.Marshal(map[string]any{
		"id": strconv.FormatUint(key, 10), "code": code(key), "url": "https://www.instagram.com/p/" + code(key) + "/", "account": Account((post - 1) % g.Accounts), "caption": text,
		"edited": post%90 == 0, "hashtags": []string{"맛집"}, "mentions": []string{}, "kind": []string{"post", "reel", "album"}[post%3], "paid": post%37 == 0,
		"tagged": []string{}, "coauthors": []string{}, "likes": 100 + post%9000, "comments": post % 300,
	})
	return string(b)
}

func (g *world) writePosts() {
	record := g.table("record", "id, stream, key, pipeline, target, at, data, question, fetched_at, raw")
	listing := g.table("listing", "record, walk, first, run")
	question := g.table("question", "id, key, pipeline, state, body, attempt, batch, line, answer, err, asked_at, answered_at")
	m := &mentionTables{
		mention: g.table("mention", "id, record, n, pipeline, question, entry, state, place, score, reason, candidates, queries, decided_at, found, label, searches"),
		label:   g.table("label", "id, stream, key, name, detail, nth, state, found, fields, shown, chosen, author, at, was_state, was_score, was_reason"),
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		g.err = err
		return
	}
	lines := map[int]int{}
	for i := 1; i <= g.Posts; i++ {
		account := (i - 1) % g.Accounts
		q := g.questionOf(i)
		named := g.names(q.state == "answered")
		text := caption(named)
		if i == 7 {
			text = strings.Repeat("🍜", 10_000) + strings.Join(Nasty(), "\n")
		}
		var raw any
		if i%10 == 0 {
			raw = enc.EncodeAll(fmt.Appendf(nil, `{"id":"%d_%d","taken_at":%d,"caption":{"text":%q},"is_video":false}`, g.key(i), account, g.postTime(i).Unix(), text), nil)
		}
		fetched := stamp(g.postTime(i).Add(20 * time.Hour))
		record.add(i, "post", strconv.FormatUint(g.key(i), 10), pipelineOf(account), Account(account), stamp(g.postTime(i)), g.postData(i, text), q.column(i), fetched, raw)
		run := 1 + (g.Posts-i)*(runs-1)/g.Posts
		if i%4 > 0 {
			listing.add(i, 2*account+1, run, max(run, runs-2))
		}
		if i%4 < 2 {
			listing.add(i, 2*account+2, run, max(run, runs-2))
		}
		if q.state == "" {
			continue
		}
		var batch, line, body, answer, answered any
		if q.batch > 0 {
			lines[q.batch]++
			batch, line = q.batch, lines[q.batch]
		}
		switch q.state {
		case "answered":
			b, _ := json.Marshal(map[string]any{"restaurants": says(named)})
			answer, answered = string(b), stamp(g.postTime(i).Add(24*time.Hour))
		case "dead":
			body, answered = text, g.ago(time.Duration(i%20)*24*time.Hour)
		default:
			body = text
		}
		question.add(i, fmt.Sprintf("v1-%020x", i), pipelineOf(account), q.state, body, q.attempt, batch, line, answer, q.err, fetched, answered)
		if q.state != "answered" {
			continue
		}
		for n, name := range named {
			g.writeMention(m, i, n, name)
		}
	}
	if g.next < g.Places && g.err == nil {
		g.err = fmt.Errorf("nobody names the last %d places", g.Places-g.next)
	}
	for _, t := range []*table{record, listing, question, m.mention, m.label} {
		t.flush()
	}
	g.writeBatches(lines)
	words := g.table("wording", "id, text")
	for i, w := range g.wordings() {
		words.add(i+1, w)
	}
	words.flush()
}

func says(all []naming) []restaurant {
	rs := make([]restaurant, len(all))
	for i, n := range all {
		rs[i] = n.says
	}
	return rs
}

// asked is what is known of a caption's question; state "" for none.
type asked struct {
	state   string
	batch   int
	attempt int
	err     any
	unseen  bool
}

func (g *world) questionOf(post int) asked {
	inBatch := 1 + (g.Posts-post)*batches/g.Posts
	switch {
	case post <= 40:
		return asked{unseen: true}
	case post%50 == 0:
		return asked{}
	case post <= waitingTo && post%9 == 0:
		return asked{state: "waiting", attempt: 1, err: "the answer breaks off"}
	case post <= waitingTo:
		return asked{state: "waiting"}
	case post <= sentTo:
		return asked{state: "sent", batch: batches + 1}
	case post%401 == 0:
		causes := []string{"the answer is not what was asked for: unexpected end of JSON input", "the model refused: I can't help with that.", "status 400: context_length_exceeded", "the answer was cut by the content filter"}
		return asked{state: "dead", batch: inBatch, attempt: 5, err: causes[post%4]}
	case post%1009 == 0:
		return asked{state: "dropped", batch: inBatch, attempt: 5, err: "dropped by a person"}
	}
	return asked{state: "answered", batch: inBatch, attempt: post % 211 / 210}
}

// column is the record's own.
func (a asked) column(post int) any {
	switch {
	case a.unseen:
		return nil
	case a.state == "":
		return 0
	}
	return post
}
