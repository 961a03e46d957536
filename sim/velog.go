package sim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// The base paths of velog's servers. Each has /graphql below it.
const (
	VelogV2Path  = "/velog/v2"    // posts and statistics
	VelogCDNPath = "/velog/v2cdn" // the cache in front of v2
	VelogV3Path  = "/velog/v3"    // the user of a session, and posts
)

// VelogOptions shape the imitated velog. The zero value is a small one without trouble, whose clock stands still.
type VelogOptions struct {
	Users int // 0 means 3
	Posts int // mean published posts of a user; 0 means 20. The second user has none when there are more than two
	Dead  int // so many users at the end have sessions that have ended already

	Now       func() time.Time `json:"-"` // the clock that Advance adds to; nil is one that stands at Options.Epoch
	Oldest    time.Duration    // age of the oldest posts; 0 means 720 days
	QuietDays []int            // Korean days without a view of anything, counted from that of the first instant, which is 0

	Series    bool          // statistics have their days, as until November 2023
	TooOld    time.Duration // statistics of posts of this age always take too long; 0 never
	Latency   time.Duration // mean of an answer
	PerYear   time.Duration // added to the latency of statistics for each year of the post's age
	PerSecond int           // calls in any sliding second; 0 unlimited
}

func (o VelogOptions) withDefaults(epoch time.Time) VelogOptions {
	if o.Users == 0 {
		o.Users = 3
	}
	if o.Posts == 0 {
		o.Posts = 20
	}
	if o.Now == nil {
		o.Now = func() time.Time { return epoch }
	}
	if o.Oldest == 0 {
		o.Oldest = 720 * 24 * time.Hour
	}
	return o
}

// VelogFaults can befall a call of velog. Which posts they befall depends on the seed and on how often each was asked for.
type VelogFaults struct {
	HTTPFaults
	Timeout    Fault // the statistics of a post take the database too long: 57014
	Internal   Fault // an error of the server about the statistics of a post
	NoPosts    Fault // a list of posts is empty
	LostUser   Fault // a session that is alive has no user
	HalfCookie Fault // a renewal sets one of the two cookies
	NoCookie   Fault // a renewal sets none
	BadCookie  Fault // a renewal sets texts that are no tokens
}

// VelogUser is one user of velog.
type VelogUser struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	// What the user's browser holds since the first instant.
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// VelogPost is the truth about one post.
type VelogPost struct {
	ID         string    `json:"id"`
	UserID     string    `json:"user_id"`
	Title      string    `json:"title"`
	Slug       string    `json:"url_slug"`
	ReleasedAt time.Time `json:"released_at"`
	Private    bool      `json:"is_private"`
	Temp       bool      `json:"is_temp"`
	Removed    bool      `json:"removed"`
}

// VelogDay is the truth about one Korean day of one post.
type VelogDay struct {
	Day   string `json:"day"` // 2026-11-20
	Views int64  `json:"views"`
	Total int64  `json:"total"` // since the release, up to the end of the day
	Likes int64  `json:"likes"` // at the end of the day
	// Told is when the statistics of the post were told last on that day; zero when they were not.
	Told time.Time `json:"told,omitzero"`
}

// Views are made between these hours of a Korean day, so that whoever looks after the last one sees the whole day.
const (
	velogOpens  = 8 * time.Hour
	velogCloses = 22 * time.Hour
)

// Velog is the imitated velog of a Server.
type Velog struct {
	s     *Server
	o     VelogOptions
	seed  uint64
	key   []byte // signs tokens
	start time.Time

	mu    sync.Mutex
	rng   *rand.Rand
	ahead time.Duration
	users []*velogUser
	posts map[string]*velogPost
	cache map[string]velogKept
	seen  velogSeen
}

type velogUser struct {
	id, username string
	deadUntil    int64 // tokens that were issued up to this second are not accepted
	deleted      bool
	vanished     bool // the list of posts is empty
	posts        []*velogPost
}

type velogPost struct {
	VelogPost
	user    *velogUser
	popular int64 // mean views of a day
	summary string
	tags    []string
	hash    uint64                  // of the seed and the id
	told    map[time.Time]time.Time // by day

	before time.Time // the views before this day are
	sum    int64     // these
}

func newVelog(s *Server) *Velog {
	v := &Velog{
		s: s, o: s.o.Velog.withDefaults(s.o.Epoch), seed: s.o.Seed, key: fmt.Appendf(nil, "sim-velog-%d", s.o.Seed),
		rng: rand.New(rand.NewPCG(s.o.Seed, 0x76656c6f67)), posts: map[string]*velogPost{}, cache: map[string]velogKept{},
	}
	v.seen.reset()
	v.start = v.o.Now()
	for i := range v.o.Users {
		u := &velogUser{id: v.uuid(), username: fmt.Sprintf("%s%d", velogNames[i%len(velogNames)], i+1)}
		v.users = append(v.users, u)
		n := v.o.Posts/2 + v.rng.IntN(v.o.Posts+1)
		if i == 1 && v.o.Users > 2 {
			n = 0
		}
		v.write(u, n)
		if i >= v.o.Users-v.o.Dead {
			u.deadUntil = v.start.Unix()
		}
	}
	return v
}

var (
	velogNames = []string{"dubu", "gimbap", "hodu", "jindo", "kong", "mandu", "nabi", "pado"}
	velogTopic = []string{"고루틴", "트랜잭션", "인덱스", "캐시", "배포", "리팩터링", "테스트", "타입", "큐", "커서"}
	velogWhat  = []string{"이해하기", "삽질기", "완전 정복", "회고", "비교", "5분 정리", "직접 구현", "뜯어보기"}
)

// write adds published posts and some drafts of a user. Some are released in the same instant, always among them those around the
// border of a page.
func (v *Velog) write(u *velogUser, n int) {
	age := func() time.Duration { return time.Duration(v.rng.Int64N(int64(v.o.Oldest))) }
	times := make([]time.Time, n)
	for i := range times {
		times[i] = v.start.Add(-age()).Truncate(time.Millisecond)
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	for i := 1; i < n; i++ {
		if i%velogPage == 0 || v.rng.IntN(12) == 0 {
			times[i] = times[i-1]
		}
	}
	for _, at := range times {
		p := v.post(u, at)
		p.Private = v.rng.IntN(10) == 0
	}
	for range n / 20 {
		v.post(u, v.start.Add(-age())).Temp = true
	}
}

// post adds one post.
func (v *Velog) post(u *velogUser, at time.Time) *velogPost {
	topic, what := velogTopic[v.rng.IntN(len(velogTopic))], velogWhat[v.rng.IntN(len(velogWhat))]
	p := &velogPost{
		VelogPost: VelogPost{
			ID: v.uuid(), UserID: u.id, Title: topic + " " + what, Slug: fmt.Sprintf("%s-%s-%d", topic, strings.ReplaceAll(what, " ", "-"), len(v.posts)+1),
			ReleasedAt: at.UTC().Truncate(time.Millisecond),
		},
		user: u, popular: int64(v.rng.ExpFloat64() * 6), summary: topic + "에 대해 배운 것을 정리했습니다.", tags: []string{topic, "개발"},
	}
	h := fnv.New64a()
	fmt.Fprint(h, v.seed, p.ID)
	p.hash = h.Sum64()
	v.posts[p.ID] = p
	u.posts = append(u.posts, p)
	return p
}

func (v *Velog) uuid() string {
	a, b := v.rng.Uint64(), v.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}

// Velog returns the imitated velog.
func (s *Server) Velog() *Velog { return s.velog }

// Now is what velog's clock shows.
func (v *Velog) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now()
}

func (v *Velog) now() time.Time { return v.o.Now().Add(v.ahead).UTC() }

// Advance moves velog's clock.
func (v *Velog) Advance(d time.Duration) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ahead += d
	return v.now()
}

// Users returns all users with the sessions that they had at the first instant.
func (v *Velog) Users() []VelogUser {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]VelogUser, 0, len(v.users))
	for _, u := range v.users {
		all = append(all, v.issue(u, v.start))
	}
	return all
}

// Login returns a new session of a user, as a browser gets it. Older ones stay what they are.
func (v *Velog) Login(username string) (VelogUser, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	u, err := v.named(username)
	if err != nil {
		return VelogUser{}, err
	}
	at := v.now()
	if at.Unix() <= u.deadUntil {
		at = time.Unix(u.deadUntil+1, 0)
	}
	return v.issue(u, at), nil
}

// ErrVelogUser says that there is no such user or post.
var ErrVelogUser = errors.New("velog has no such user or post")

func (v *Velog) named(username string) (*velogUser, error) {
	for _, u := range v.users {
		if u.username == username {
			return u, nil
		}
	}
	return nil, fmt.Errorf("%q: %w", username, ErrVelogUser)
}

func (v *Velog) with(username string, f func(u *velogUser)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	u, err := v.named(username)
	if err == nil {
		f(u)
	}
	return err
}

// Kill ends all sessions of a user.
func (v *Velog) Kill(username string) error {
	return v.with(username, func(u *velogUser) { u.deadUntil = v.now().Unix() })
}

// Delete removes a user and the posts.
func (v *Velog) Delete(username string) error {
	return v.with(username, func(u *velogUser) {
		u.deleted = true
		for _, p := range u.posts {
			p.Removed = true
		}
	})
}

// Vanish makes the list of a user's posts empty, or whole again. The statistics stay.
func (v *Velog) Vanish(username string, vanished bool) error {
	return v.with(username, func(u *velogUser) { u.vanished = vanished })
}

// Rename gives a user another name.
func (v *Velog) Rename(username, to string) error {
	return v.with(username, func(u *velogUser) { u.username = to })
}

// Publish adds a post that is released now, and returns it.
func (v *Velog) Publish(username string) (p VelogPost, err error) {
	err = v.with(username, func(u *velogUser) { p = v.post(u, v.now()).VelogPost })
	return p, err
}

// Remove deletes a post for good.
func (v *Velog) Remove(post string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.posts[post]
	if p == nil {
		return fmt.Errorf("%q: %w", post, ErrVelogUser)
	}
	p.Removed = true
	return nil
}

// Move gives a post to another user.
func (v *Velog) Move(post, username string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.posts[post]
	u, err := v.named(username)
	if p == nil || err != nil {
		return fmt.Errorf("%q to %q: %w", post, username, ErrVelogUser)
	}
	p.user.posts = slices.DeleteFunc(p.user.posts, func(o *velogPost) bool { return o == p })
	p.user, p.UserID = u, u.id
	u.posts = append(u.posts, p)
	return nil
}

// Posts returns a user's posts, newest first, drafts and removed ones included.
func (v *Velog) Posts(username string) []VelogPost {
	var all []VelogPost
	_ = v.with(username, func(u *velogUser) { // nobody has no posts
		for _, p := range u.posts {
			all = append(all, p.VelogPost)
		}
	})
	slices.SortStableFunc(all, func(a, b VelogPost) int { return b.ReleasedAt.Compare(a.ReleasedAt) })
	return all
}

// Truth returns the days of a post from that of its release to the current one, oldest first. The last one is what it will be at
// its end.
func (v *Velog) Truth(post string) []VelogDay {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.posts[post]
	if p == nil {
		return nil
	}
	var days []VelogDay
	total := int64(0)
	for d := midnight(p.ReleasedAt); !d.After(v.now()); d = d.AddDate(0, 0, 1) {
		n := v.viewsOn(p, d)
		total += n
		days = append(days, VelogDay{Day: d.Format(time.DateOnly), Views: n, Total: total, Likes: v.likes(p, d.Add(velogCloses)), Told: p.told[d]})
	}
	return days
}

// midnight is when the Korean day of an instant began.
func midnight(t time.Time) time.Time {
	t = t.In(seoul)
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, seoul)
}

// draw is a number that depends on nothing but the seed, a post, a day and what it is for.
func (p *velogPost) draw(what uint64, day time.Time) uint64 {
	x := p.hash ^ (what+uint64(day.Unix()/3600))*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// viewsOn returns the views of a Korean day, which begins at day.
func (v *Velog) viewsOn(p *velogPost, day time.Time) int64 {
	if day.AddDate(0, 0, 1).Before(p.ReleasedAt) || p.Temp || slices.Contains(v.o.QuietDays, int(day.Sub(midnight(v.start)).Hours()/24)) {
		return 0
	}
	if !p.ReleasedAt.Before(day.Add(velogCloses)) {
		return 0 // nobody came any more
	}
	x := p.draw(0, day)
	switch {
	case x%4 == 0: // many days of many posts have none
		return 0
	case x%97 == 1: // somebody linked to it
		return p.popular*20 + int64(x>>32%50)
	}
	return int64(x >> 32 % uint64(2*p.popular+2))
}

// views returns all views up to an instant.
func (v *Velog) views(p *velogPost, at time.Time) int64 {
	today := midnight(at)
	if p.before.IsZero() || today.Before(p.before) {
		p.before, p.sum = midnight(p.ReleasedAt), 0
	}
	for ; p.before.Before(today); p.before = p.before.AddDate(0, 0, 1) {
		p.sum += v.viewsOn(p, p.before)
	}
	return p.sum + v.soFar(p, today, at)
}

// soFar returns the views of the day that began at today, up to an instant in it.
func (v *Velog) soFar(p *velogPost, today, at time.Time) int64 {
	from, to := today.Add(velogOpens), today.Add(velogCloses)
	if p.ReleasedAt.After(from) {
		from = p.ReleasedAt
	}
	switch {
	case !at.Before(to):
		return v.viewsOn(p, today)
	case !at.After(from):
		return 0
	}
	return int64(float64(v.viewsOn(p, today)) * float64(at.Sub(from)) / float64(to.Sub(from)))
}

// likes returns the likes at an instant. They go down, too. The whole day has those of its noon.
func (v *Velog) likes(p *velogPost, at time.Time) int64 {
	noon := midnight(at).Add(12 * time.Hour)
	if at.Before(noon) {
		noon = noon.AddDate(0, 0, -1)
	}
	if noon.Before(p.ReleasedAt) {
		return 0
	}
	days := int64(noon.Sub(p.ReleasedAt).Hours()/24) + 1
	return min(days, 2*p.popular+3)/2 + int64(p.draw(1<<40, noon)%3)
}

// listed returns the posts of a user as somebody sees them, newest first. Of two of one instant the one that was written first
// comes first.
func (u *velogUser) listed(self, temp bool) []*velogPost {
	var all []*velogPost
	for _, p := range u.posts {
		if !p.Removed && p.Temp == temp && (self || !p.Private) {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b *velogPost) int { return b.ReleasedAt.Compare(a.ReleasedAt) })
	return all
}
