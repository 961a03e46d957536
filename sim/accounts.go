package sim

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// account is an influencer. Its lists are kept newest first, pinned posts in their place in time.
type account struct {
	name, id, fullName string
	private, gone      bool
	voice              *voice
	followers          int
	bothLists          float64 // share of its reels that are in the grid too
	grid, reels        []*post
	counted            int // what media found; 0 after a change
}

// post is one media. Two accounts show it when they made it together.
type post struct {
	pk               int64
	owner            *account
	guest            *account // collaboration: the account of ours that shows it besides owner
	foreign          string   // collaboration: a user outside of the world who owns it
	takenAt          time.Time
	form             int // 1 image, 2 video, 8 carousel
	caption          *caption
	location         *Place
	cityPin          bool // the location is only the city
	edited, deleted  bool
	gridPin, reelPin bool
	salt             uint64 // decides about what varies without meaning
}

const idEpoch = 1314220021721 // milliseconds; media ids count from here

// mediaID makes a media id from the time at which its upload began.
func mediaID(t time.Time, random int64) int64 { return (t.UnixMilli()-idEpoch)<<23 | random&(1<<23-1) }

// code is the short code of a media: its id in base64url without leading zeros.
func (p *post) code() string {
	b := binary.BigEndian.AppendUint64([]byte{0}, uint64(p.pk)) // 72 bits are twelve letters
	return strings.TrimLeft(base64.RawURLEncoding.EncodeToString(b), "A")
}

// older orders posts newest first.
func older(a, b *post) int {
	return cmp.Or(b.takenAt.Compare(a.takenAt), cmp.Compare(b.pk, a.pk))
}

var (
	nameHeads = []string{"matzip", "foodie", "yummy", "eat", "tasty", "bobsang", "mukbang", "seoulfood", "daily", "hungry"}
	nameTails = []string{"hunter", "log", "mina", "jun", "diary", "road", "sister", "kim", "map", "trip"}
)

func (w *world) newAccount(rng *rand.Rand, i int) *account {
	a := &account{
		name:     fmt.Sprintf("sim.%s_%s%d", nameHeads[i%10], nameTails[i/10%10], i+1),
		fullName: "시뮬 맛집 " + fmt.Sprint(i+1),
		voice:    newVoice(rng), followers: 5000 + rng.IntN(300_000), bothLists: 0.5 + rng.Float64()/2,
	}
	w.register(rng, a)
	return a
}

func (w *world) register(rng *rand.Rand, a *account) {
	a.id = fmt.Sprint(10_000_000_000 + rng.Int64N(60_000_000_000))
	w.byName[a.name], w.byName[a.id] = a, a
}

// populate draws the accounts and what they have posted before o.Epoch.
func (w *world) populate(rng *rand.Rand, o Options) {
	for i := range o.Accounts {
		w.accounts = append(w.accounts, w.newAccount(rng, i))
	}
	for _, n := range o.Private {
		w.register(rng, &account{name: n, fullName: n, private: true})
	}
	for _, n := range o.Gone {
		w.register(rng, &account{name: n, gone: true})
	}
	w.mute = o.Mute
	if len(o.Lists) > 0 {
		for i, l := range o.Lists {
			w.fill(rng, w.accounts[i], l, o.Epoch)
		}
		return
	}
	for _, a := range w.accounts {
		n := max(3, int(float64(o.Posts)*math.Exp(rng.NormFloat64()*0.5-0.125)))
		// Long histories are denser, so that none goes back before Instagram.
		gap := min(60*time.Hour, 8*365*24*time.Hour/time.Duration(n))
		t := o.Epoch.Add(-time.Duration(rng.Int64N(int64(gap))))
		for range n {
			w.addPost(rng, a, t)
			t = t.Add(-time.Minute - time.Duration(rng.ExpFloat64()*float64(gap))).Truncate(time.Second)
		}
	}
	w.collaborate(rng)
	for _, a := range w.accounts {
		slices.SortFunc(a.grid, older)
		slices.SortFunc(a.reels, older)
		pin(rng, a.grid, func(p *post) { p.gridPin = true })
		pin(rng, a.reels, func(p *post) { p.reelPin = true })
	}
}

// pin pins up to three of the older half of a list.
func pin(rng *rand.Rand, list []*post, set func(*post)) {
	for range rng.IntN(4) {
		if old := list[len(list)/2:]; len(old) > 0 {
			if p := old[rng.IntN(len(old))]; p.guest == nil {
				set(p)
			}
		}
	}
}

// addPost draws a post of an account and appends it to the lists that show it.
func (w *world) addPost(rng *rand.Rand, a *account, t time.Time) *post {
	p := &post{owner: a, takenAt: t, caption: w.write(rng, a.voice), salt: rng.Uint64()}
	began := t.Add(time.Duration(rng.IntN(1000)) * time.Millisecond)
	switch x := rng.Float64(); {
	case x < 0.45:
		p.form = 2
		began = t.Add(-time.Duration(11_000+rng.IntN(87_000)) * time.Millisecond)
	case x < 0.8:
		p.form = 8
	default:
		p.form = 1
	}
	for p.pk == 0 || w.posts[p.pk] != nil {
		p.pk = mediaID(began, rng.Int64())
	}
	if rng.IntN(30) == 0 {
		p.foreign = fmt.Sprintf("sim.guest_%d", rng.IntN(500))
	}
	if p.caption != nil && len(p.caption.mentions) == 1 && p.caption.mentions[0].Place != nil && rng.IntN(3) == 0 {
		p.location = p.caption.mentions[0].Place
		p.cityPin = rng.IntN(2) == 0
	}
	if w.mute {
		p.caption, p.location = nil, nil
	}
	w.posts[p.pk] = p
	a.counted = 0
	if p.form == 2 {
		a.reels = append(a.reels, p)
	}
	if p.form != 2 || rng.Float64() < a.bothLists {
		a.grid = append(a.grid, p)
	}
	return p
}

// collaborate shows a few posts in the grid of a second account.
func (w *world) collaborate(rng *rand.Rand) {
	if len(w.accounts) < 2 {
		return
	}
	for i, a := range w.accounts {
		b := w.accounts[(i+1)%len(w.accounts)]
		for _, p := range a.grid {
			if p.foreign == "" && p.guest == nil && rng.IntN(60) == 0 {
				p.guest = b
				b.grid = append(b.grid, p)
			}
		}
	}
}

// Post is the truth about one post.
type Post struct {
	ID       string    `json:"id"` // media id
	Account  string    `json:"account"`
	Guest    string    `json:"guest,omitempty"` // second account that shows it
	Lists    []string  `json:"lists"`           // posts, reels or both
	TakenAt  time.Time `json:"takenAt"`
	Caption  string    `json:"caption"`  // "" when there is none
	Mentions []Mention `json:"mentions"` // in the order of the caption
}

func (p *post) truth() Post {
	t := Post{ID: fmt.Sprint(p.pk), Account: p.owner.name, TakenAt: p.takenAt}
	if slices.Contains(p.owner.grid, p) {
		t.Lists = append(t.Lists, "posts")
	}
	if slices.Contains(p.owner.reels, p) {
		t.Lists = append(t.Lists, "reels")
	}
	if p.guest != nil {
		t.Guest = p.guest.name
	}
	if p.caption != nil {
		t.Caption, t.Mentions = p.caption.text, p.caption.mentions
	}
	return t
}

// Accounts returns the names of the influencers that can be crawled, in a stable order.
func (s *Server) Accounts() []string {
	var names []string
	for _, a := range s.world.accounts {
		names = append(names, a.name)
	}
	return names
}

// Posts returns the truth about every post that exists now, by id.
func (s *Server) Posts() map[string]Post {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[string]Post, len(s.world.posts))
	for _, p := range s.world.posts {
		if !p.deleted {
			t := p.truth()
			out[t.ID] = t
		}
	}
	return out
}

// deleted returns the ids of the posts that exist no more.
func (s *Server) deleted() map[string]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := map[string]bool{}
	for _, p := range s.world.posts {
		if p.deleted {
			out[fmt.Sprint(p.pk)] = true
		}
	}
	return out
}

// Places returns a copy of the map, car parks included.
func (s *Server) Places() []Place {
	out := make([]Place, len(s.places))
	for i, p := range s.places {
		out[i] = *p
	}
	return out
}

// Publish lets n new posts of an account appear now, newer than all it has, and returns their ids, oldest first.
// An unknown account publishes nothing.
func (s *Server) Publish(account string, n int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.world.byName[account]
	if a == nil || a.voice == nil {
		return nil
	}
	t := time.Now().UTC().Truncate(time.Second).Add(-time.Duration(n) * time.Second)
	for _, list := range [][]*post{a.grid, a.reels} {
		if len(list) > 0 && !list[0].takenAt.Before(t) {
			t = list[0].takenAt
		}
	}
	var ids []string
	for range n {
		t = t.Add(time.Second)
		p := s.world.addPost(s.rng, a, t)
		ids = append(ids, fmt.Sprint(p.pk))
	}
	slices.SortFunc(a.grid, older)
	slices.SortFunc(a.reels, older)
	return ids
}

// Rename gives an account another name, under which it answers from now on; its id stays, and the old name is free. It
// reports whether the account exists and the name was free.
func (s *Server) Rename(account, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.world.byName[account]
	if a == nil || s.world.byName[to] != nil {
		return false
	}
	delete(s.world.byName, a.name)
	a.name = to
	s.world.byName[to] = a
	return true
}

// Join adds an account of a free name with n posts and returns its id; "" when the name is taken. Accounts does not list it.
func (s *Server) Join(name string, n int) (id string) {
	s.mu.Lock()
	if s.world.byName[name] != nil {
		s.mu.Unlock()
		return ""
	}
	a := &account{name: name, fullName: name, voice: newVoice(s.rng), followers: 100, bothLists: 0.5}
	s.world.register(s.rng, a)
	s.mu.Unlock()
	s.Publish(name, n)
	return a.id
}

// Leave makes an account answer 404, by name and by id, and frees its name. It reports whether the account exists.
func (s *Server) Leave(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.world.byName[account]
	if a == nil {
		return false
	}
	a.gone = true
	delete(s.world.byName, a.name)
	return true
}

// change applies f to a post that exists.
func (s *Server) change(post string, f func(*post)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	pk := int64(0)
	if _, err := fmt.Sscan(post, &pk); err != nil {
		return false
	}
	p := s.world.posts[pk]
	if p == nil || p.deleted {
		return false
	}
	f(p)
	return true
}

// EditCaption gives a post another caption, about another restaurant, and reports whether the post exists.
func (s *Server) EditCaption(id string) bool {
	return s.change(id, func(p *post) {
		old := p.caption
		for p.caption == old || p.caption == nil || len(p.caption.mentions) == 0 || p.caption.mentions[0].Place == nil {
			p.caption = s.world.write(s.rng, p.owner.voice)
		}
		p.edited, p.location = true, nil
	})
}

// Unpin takes a post's pins away and reports whether the post exists.
func (s *Server) Unpin(id string) bool {
	return s.change(id, func(p *post) { p.gridPin, p.reelPin = false, false })
}

// Delete removes a post and reports whether it existed.
func (s *Server) Delete(id string) bool { return s.change(id, s.world.remove) }

func (w *world) remove(p *post) {
	p.deleted = true
	for _, a := range []*account{p.owner, p.guest} {
		if a != nil {
			a.counted = 0
			a.grid = slices.DeleteFunc(a.grid, func(q *post) bool { return q == p })
			a.reels = slices.DeleteFunc(a.reels, func(q *post) bool { return q == p })
		}
	}
}
