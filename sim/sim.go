// Package sim imitates the upstreams of a restaurant crawl over HTTP: Instagram as sold on RapidAPI, the OpenAI files
// and batches, Naver local search in both dialects, and Kakao keyword search. It is strict where the real ones are
// strict, goes wrong on demand, and serves a fictional Korea whose truth it knows, so that a run can be graded.
//
//	s := sim.New(sim.Options{Seed: 1, Accounts: 4, Posts: 30, InstagramPerSecond: 8})
//	base, stop, err := s.Start()
//	…                                // run the program against base+sim.InstagramPath and so on, with the Default keys
//	fmt.Println(s.Grade(posts, found))
//
// The world: restaurants with invented names stand in real districts. Influencers write captions about them, and every
// caption comes with the mentions that an honest reader finds in it and the place that each of them means. Where a
// place is named, the caption says enough to find it with a search that returns five results. In a hard world (Options.Hard)
// it says as much as a person would need, and the five results need not have it.
//
// Two servers with equal Options of non-zero Epoch serve the same world; faults and latencies are drawn apart from it.
package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The base path of each upstream below the address of the server.
const (
	InstagramPath   = "/instagram/v1.2" // /posts, /reels and /info below it; /instagram/v1 serves the same
	OpenAIPath      = "/openai/v1"      // /files and /batches below it
	NaverPath       = "/naver"          // hub: /search/v1/local, legacy: /v1/search/local.json
	KakaoPath       = "/kakao"          // /v2/local/search/keyword.json below it
	defaultRapidAPI = "instagram-scraper-api2.p.rapidapi.com"
)

// The credentials that are accepted unless Options.Keys says otherwise. They are invented.
const (
	DefaultRapidAPIKey       = "sim-rapidapi-key"
	DefaultOpenAIKey         = "sk-sim-openai-key"
	DefaultNaverClientID     = "sim-naver-client-id"
	DefaultNaverClientSecret = "sim-naver-client-secret"
	DefaultKakaoKey          = "sim-kakao-rest-api-key"
	DefaultWebhookSecret     = "whsec_c2ltLXdlYmhvb2stc2VjcmV0LTAxMjM0NTY3ODk=" // its key is sim-webhook-secret-0123456789
)

// Keys are the credentials that the server accepts. An empty field means the Default constant.
type Keys struct {
	RapidAPI          []string // each with a window and a quota of its own
	RapidUnsubscribed []string // known keys that have no subscription: 403
	OpenAI            string
	NaverID           string
	NaverSecret       string
	Kakao             string
	KakaoDisabled     []string // known keys whose app has not switched the map service on: 403
}

// Options shape the world and the behaviour of the server. The zero value is a small, fast, fault-free one.
type Options struct {
	Seed     uint64
	Accounts int       // influencers; 0 means 8
	Posts    int       // mean posts of an account; 0 means 100
	Lists    []Lengths // one account each, with lists of exactly these lengths, instead of Accounts and Posts
	Hard     bool      // most captions are about namesakes, branches, closed shops and the like, and searches mislead
	Mute     bool      // no post has a caption, so that nothing follows a crawl
	Epoch    time.Time // when the newest post was made; zero means the last midnight UTC
	Gone     []string  // account names that answer 404; not among Accounts
	Private  []string  // account names that are private; not among Accounts

	PrivateStatus int  // status of a list of a private account; 0 means 404
	OffsetPaging  bool // tokens count items from the top, so that a new post shifts a page; else they mark the last item
	PadBytes      int  // ballast in each Instagram item; real ones have about 15,000 bytes

	Latency       time.Duration // mean of an Instagram answer
	OpenAILatency time.Duration // 0 means Latency/10
	SearchLatency time.Duration // of Naver and Kakao; 0 means Latency/40
	Jitter        float64       // 0 to 1: answers take between (1-Jitter) and (1+Jitter) times the mean
	Arrival       time.Duration // a call reaches its meter a random time below this after it was received

	InstagramPerSecond, NaverPerSecond, KakaoPerSecond int // calls of one key in any sliding second, by arrival; 0 unlimited
	CountRefused                                       bool
	InstagramQuota, NaverPerDay, KakaoPerDay           int           // calls of one key; 0 unlimited
	QuotaReset                                         time.Duration // length of an Instagram quota period, from New on; 0 means 30 days
	NaverDialect                                       string        // hub or legacy: which one the credential belongs to; "" both

	BatchStep      time.Duration // how long a batch stays in each state; 0 means 300 ms
	EnqueuedTokens int64         // prompt tokens of all unfinished batches of one model; 0 unlimited
	MaxLines       int           // lines of a batch; 0 means 50,000
	MaxInputBytes  int64         // bytes of a batch input; 0 means 209,715,200
	ListDelay      time.Duration // how long a new batch is missing from the list of batches
	WebhookURL     string        // where events go; "" sends none
	WebhookSecret  string        // "" means DefaultWebhookSecret
	WebhookRetry   time.Duration // first pause between deliveries, doubled each time; 0 means 1 s

	Velog VelogOptions

	Keys   Keys
	Echo   bool // every error answer repeats the credential that it was sent, in some writing
	Faults Faults
}

func (o Options) withDefaults() Options {
	def := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	if o.Accounts = max(o.Accounts, len(o.Lists)); o.Accounts == 0 {
		o.Accounts = 8
	}
	if o.Posts == 0 {
		o.Posts = 100
	}
	if o.Epoch.IsZero() {
		o.Epoch = time.Now().UTC().Truncate(24 * time.Hour)
	}
	// Media ids count from 2011; a fake clock may stand before that.
	if o.Epoch.Year() < 2022 {
		o.Epoch = time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	}
	if o.PrivateStatus == 0 {
		o.PrivateStatus = http.StatusNotFound
	}
	if o.OpenAILatency == 0 {
		o.OpenAILatency = o.Latency / 10
	}
	if o.SearchLatency == 0 {
		o.SearchLatency = o.Latency / 40
	}
	if o.QuotaReset == 0 {
		o.QuotaReset = 30 * 24 * time.Hour
	}
	if o.BatchStep == 0 {
		o.BatchStep = 300 * time.Millisecond
	}
	if o.MaxLines == 0 {
		o.MaxLines = 50_000
	}
	if o.MaxInputBytes == 0 {
		o.MaxInputBytes = 209_715_200
	}
	if o.WebhookRetry == 0 {
		o.WebhookRetry = time.Second
	}
	def(&o.WebhookSecret, DefaultWebhookSecret)
	if len(o.Keys.RapidAPI) == 0 {
		o.Keys.RapidAPI = []string{DefaultRapidAPIKey}
	}
	def(&o.Keys.OpenAI, DefaultOpenAIKey)
	def(&o.Keys.NaverID, DefaultNaverClientID)
	def(&o.Keys.NaverSecret, DefaultNaverClientSecret)
	def(&o.Keys.Kakao, DefaultKakaoKey)
	return o
}

// Server is the imitation. It is safe for concurrent use.
type Server struct {
	o       Options
	started time.Time
	dice    *dice
	stats   *counters
	meters  meters
	ai      *openAI
	velog   *Velog
	client  *http.Client // delivers webhooks
	pad     string       // Options.PadBytes of ballast
	mux     *http.ServeMux

	conns  atomic.Int64 // open connections, where Start serves
	life   sync.Mutex   // guards closed and the growth of wg
	closed bool
	done   chan struct{} // closed by Close
	wg     sync.WaitGroup

	mu     sync.RWMutex // guards world, from here on
	rng    *rand.Rand
	places []*Place
	world  *world
	tokens map[string]cursor
}

// New makes a server and its world.
func New(o Options) *Server {
	o = o.withDefaults()
	s := &Server{
		o:       o,
		started: time.Now(),
		dice:    newDice(o),
		stats:   newCounters(),
		mux:     http.NewServeMux(),
		client:  &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		done:    make(chan struct{}),
		pad:     strings.Repeat("<MPD/>", o.PadBytes/6+1)[:o.PadBytes],
		rng:     rand.New(rand.NewPCG(o.Seed, 0x73756d6269)),
		tokens:  map[string]cursor{},
	}
	s.ai = newOpenAI(s)
	s.world = newWorld(s.rng, o.Hard)
	s.places = s.world.places
	s.world.populate(s.rng, o)
	s.velog = newVelog(s)
	s.routes()
	return s
}

// Handler returns the handler of all upstreams, each below its base path, of /sim/stats and
// /sim/accounts, of POST /sim/reset, which begins to count anew, and of POST /sim/calm, which ends the faults.
func (s *Server) Handler() http.Handler {
	if s.o.Echo {
		return echoing(s.mux)
	}
	return s.mux
}

// Start serves on a free port of 127.0.0.1 until stop is called. stop also does what Close does.
func (s *Server) Start() (baseURL string, stop func(), err error) {
	lc := net.ListenConfig{Control: stampReads}
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ConnState: s.connState, ConnContext: withConn}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(stamping{l}) // always ErrServerClosed: Close is the only way out
	}()
	return "http://" + l.Addr().String(), func() {
		s.Close()
		_ = srv.Close() // the listener is ours, nothing is left to be lost
		<-served
	}, nil
}

func (s *Server) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Add(-1)
	}
}

// Connections returns how many connections are open to a server that Start serves.
func (s *Server) Connections() int { return int(s.conns.Load()) }

// Close ends what goes on in the background: batches stay where they are and webhooks are no longer sent.
func (s *Server) Close() {
	s.life.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.life.Unlock()
	s.wg.Wait()
}

// after calls f in d unless the server is closed first. Close waits for a call that has begun.
func (s *Server) after(d time.Duration, f func()) {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return
	}
	s.wg.Go(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			f()
		case <-s.done:
		}
	})
}
