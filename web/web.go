// Package web is what sumbi listens with: the page for people, health for the platform, webhooks from upstreams, metrics and a
// plain status.
package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// maxWebhook is the size of a webhook's body that is read at most.
const maxWebhook = 64 << 10

const webhookPath = "/webhooks/openai"

// How many connections may be open at a time. Who holds all that he may keeps out neither the work nor others: those of this machine,
// which asks whether the process is alive, are counted apart, and one address elsewhere gets a part of the rest. A proxy brings many
// visitors from one address and gets most of it; others still have as many as an address usually gets.
const (
	mostConnections = 256 // from this machine, and from elsewhere
	mostOfAddress   = 64
	mostOfProxy     = mostConnections - mostOfAddress
)

// shutdownTime is how long requests that are being answered may take after a stop.
const shutdownTime = 5 * time.Second

// Server answers on one address. Without a Token everything is open to this machine, and nothing to others. With one, /healthz,
// /readyz, the form at /login and the signed webhook are open, everything else is for who has it.
type Server struct {
	Store *queue.Store
	Log   *slog.Logger
	Token adapters.Secret
	// ProxyHeader is the header in which a proxy in front names the visitor's address; "" when there is none. With it
	// X-Forwarded-Proto is believed, too.
	ProxyHeader string
	// Verify checks a webhook's signature before anything of it is read, and names the webhook and the batch it speaks of
	// ("" for events that are about something else). nil refuses all webhooks.
	Verify  func(h http.Header, body []byte, now time.Time) (id, batch string, err error)
	Metrics http.Handler                                 // nil = none
	Status  func(ctx context.Context, w io.Writer) error // what is going on as text, for who asks for no page
	Tiles   Tiles                                        // what lies under the places on the map
	// Together says which entries of the finders are one place, by the configuration of a pipeline, "" for the first, and in
	// which lane its mentions are matched anew. nil: the defaults.
	Together func(pipeline string) (one queue.One, lane string, err error)
	// Look searches the finders of a mention's pipeline for words of a person's own. nil: there are none.
	Look func(ctx context.Context, m queue.Mention, words string) ([]queue.Option, []queue.Asked, error)
	By   string // who decides where the visitor has not said who he is
	// Pipelines are those that are configured.
	Pipelines []*jobs.Pipeline
	// HandIn takes what a person logs in with to a pipeline, once the upstream has accepted it, and returns whose it is; nil = nobody can.
	HandIn func(ctx context.Context, p *jobs.Pipeline, want, text string) (target string, err error)
	// Rates returns how fast this process calls each upstream; nil = not known.
	Rates func() []Rate
	// Forecast says what a run of a pipeline would do, without asking anybody; nil = not known. The error is for people.
	Forecast func(ctx context.Context, pipeline string) (Forecast, error)
	// Opened is told where Listen listens; nil = nobody asks.
	Opened func(net.Addr)

	Health   Health          // nil: nothing is known of the work of this process
	Stopping <-chan struct{} // closed when this process was told to stop; nil never
	// Webhooked is told what became of each webhook: accepted, repeated, other (about nothing of ours), refused or failed. May be nil.
	Webhooked func(result string)
	// Account is an account of a pipeline as the configuration would name it; its error says what is wrong with the name.
	Account func(pipeline, name string) (string, error)

	reviewed    reviewed
	packer      queue.Packer
	views       map[string]*template.Template // by language
	closed      *http.ServeMux                // what wants the token
	nav         []link
	policy      string           // what a browser may do with an answer
	now         func() time.Time // time.Now, but for tests
	sessions    sessions
	tries       tries
	badTokens   rarely
	badWebhooks rarely
	badHealth   rarely
	badReads    rarely
	lives       map[string]liveView
	hub         hub
	mapped      mapCache
	files       atomic.Int32  // that are being sent
	beat        time.Duration // liveBeat, but for tests
	totals      slowly[queue.Totals]
	figures     slowly[[]queue.Figure]
	counts      slowly[[]queue.Count]
	situation   slowly[situation]
	together    together

	refusedWebhooks counter
}

// Handler returns the routes.
func (s *Server) Handler() http.Handler {
	if s.now == nil {
		s.now = time.Now
	}
	if s.beat == 0 {
		s.beat = liveBeat
	}
	s.views, s.policy = viewsAt(s.Store.Now), s.contentPolicy()
	open := map[string]http.Handler{livePath: get(s.live), readyPath: get(s.ready), webhookPath: post(s.webhook)}
	if s.Token != "" {
		open["/login"] = methods{http.MethodGet: s.loginForm, http.MethodHead: s.loginForm, http.MethodPost: s.login}
	}
	// What is not open asks for the token before it tells whether it is there at all.
	closed := http.NewServeMux()
	s.closed = closed
	closed.HandleFunc("POST /logout", s.logout)
	closed.HandleFunc("POST /look", s.chooseLook)
	if s.Metrics != nil {
		closed.Handle("GET /metrics", s.Metrics)
	}
	s.apiRoutes(closed)
	closed.HandleFunc("GET /events", s.events)
	s.overviewRoutes(closed)
	s.mapRoutes(closed)
	s.reviewRoutes(closed)
	s.placeRoutes(closed)
	s.postRoutes(closed)
	s.runsRoutes(closed)
	s.jobsRoutes(closed)
	s.accountsRoutes(closed)
	s.batchesRoutes(closed)
	s.deadRoutes(closed)
	s.velogRoutes(closed)
	s.nav = slices.DeleteFunc(slices.Clone(navigation), func(l link) bool { return !s.serves(l.Path) })
	guarded := s.guard(s.bounded(s.missing(closed)))
	return s.protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := open[r.URL.Path]
		switch {
		case h != nil:
			h.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, staticPath):
			get(s.static).ServeHTTP(w, r)
		default:
			guarded.ServeHTTP(w, r)
		}
	}))
}

// How long the reading for an answer may take, and how many such answers are made at a time: the work reads with the rest of the
// connections to the state.
const mostRead = 2

var readTime = 10 * time.Second // changed by tests that are slowed down

// bounded bounds what is read for pages and the API. What is streamed, metrics and the map, which reads for all at once, have bounds
// of their own.
func (s *Server) bounded(next http.Handler) http.Handler {
	room := make(chan struct{}, mostRead)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !reads || r.URL.Path == "/events" || r.URL.Path == "/metrics" || strings.HasPrefix(r.URL.Path, "/map") {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), readTime)
		defer cancel()
		select {
		case room <- struct{}{}:
			leave := sync.OnceFunc(func() { <-room })
			defer leave()
			next.ServeHTTP(&answering{w, leave}, r.WithContext(ctx))
		case <-ctx.Done():
			w.Header().Set("Retry-After", "10")
			complain(w, r, http.StatusServiceUnavailable, "too much is asked for at a time; try again in some seconds")
		}
	})
}

// answering calls read when the first of an answer is sent: whoever takes it slowly holds up nobody.
type answering struct {
	http.ResponseWriter
	read func()
}

// WriteHeader implements http.ResponseWriter.
func (a *answering) WriteHeader(status int) {
	a.read()
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answering) Write(b []byte) (int, error) {
	a.read()
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// serves reports whether there is a view at path, which may have a query.
func (s *Server) serves(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	_, pattern := s.closed.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}})
	return pattern != ""
}

// contentPolicy says what a browser may do with an answer: show it with our own style, script and pictures, send its forms back
// here, ask here for more, and nothing else.
func (s *Server) contentPolicy() string {
	return strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", strings.TrimSpace("img-src 'self' data: " + s.Tiles.origin()), "connect-src 'self'",
		"form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}, "; ")
}

// methods answers each method of one path; others get 405.
type methods map[string]http.HandlerFunc

func get(h http.HandlerFunc) methods  { return methods{http.MethodGet: h, http.MethodHead: h} }
func post(h http.HandlerFunc) methods { return methods{http.MethodPost: h} }

// ServeHTTP implements http.Handler.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m[r.Method]
	if h == nil {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(m)), ", "))
		http.Error(w, "this is not how to ask for it", http.StatusMethodNotAllowed)
		return
	}
	h(w, r)
}

// status is the overview for who asks for no page.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	var text strings.Builder
	if err := s.Status(r.Context(), &text); err != nil {
		s.Log.Error("status", "err", err)
		http.Error(w, "the status cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text.String())
}

// webhook makes the next look at a batch come now. Polling stays the truth: a lost webhook costs only time.
func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	if s.Verify == nil {
		http.Error(w, "webhooks are off: OPENAI_WEBHOOK_SECRET is not set", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the body breaks off", http.StatusBadRequest)
		return
	}
	id, batch, err := s.Verify(r.Header, body, s.Store.Now())
	if err != nil {
		s.refusedWebhooks.add(s.now())
		if more, ok := s.badWebhooks.say(s.now()); ok {
			s.Log.Warn("webhook refused", "err", err, "more_since_the_last_line", more)
		}
		s.webhooked("refused")
		http.Error(w, "the signature does not fit", http.StatusUnauthorized)
		return
	}
	result, err := s.look(r.Context(), id, batch)
	s.webhooked(result)
	if err != nil {
		s.Log.Error("webhook", "err", err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	s.Log.Info("webhook", "batch", batch, "result", result)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) webhooked(result string) {
	if s.Webhooked != nil {
		s.Webhooked(result)
	}
}

// look says what became of a webhook.
func (s *Server) look(ctx context.Context, id, batch string) (result string, err error) {
	err = s.Store.Tx(ctx, func(tx *queue.Tx) error {
		result = "other"
		known, err := tx.SeenWebhook(id)
		if known {
			result = "repeated"
		}
		if err != nil || known || batch == "" {
			return err
		}
		b, err := tx.BatchByUpstream(batch)
		if errors.Is(err, queue.ErrNotFound) {
			return nil // somebody else's batch
		}
		if err != nil {
			return err
		}
		result = "accepted"
		return tx.Hurry(jobs.BatchKey(b.ID))
	})
	if err != nil {
		result = "failed"
	}
	return result, err
}

// Listen serves on addr until ctx ends, and returns when what was being answered then has been answered or broken off. Without a Token it refuses an address that turns out not to be loopback.
func (s *Server) Listen(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; change listen or end what uses it", addr, err)
	}
	defer func() { _ = l.Close() }() // the server has closed it, unless it never began
	if at, ok := l.Addr().(*net.TCPAddr); s.Token == "" && (!ok || !at.IP.IsLoopback()) {
		return fmt.Errorf("listen %s is %s, which others can reach: set SUMBI_TOKEN to protect it, or listen on 127.0.0.1", addr, l.Addr())
	}
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10, DisableGeneralOptionsHandler: true, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelError),
	}
	defer s.hub.close()
	defer s.mapped.close()
	// Serve returns as soon as a shutdown begins; requests may still be answered then, and need the state.
	answered := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(answered)
		s.hub.close() // its readers would stay to the end
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if err := srv.Shutdown(end); err != nil {
			_ = srv.Close()
			s.Log.Warn("not every request could be answered before the stop", "err", err)
		}
	})
	s.Log.Info("listening", "addr", l.Addr().String())
	if s.Opened != nil {
		s.Opened(l.Addr())
	}
	visitors := &crowd{Listener: l, share: mostOfAddress}
	if s.ProxyHeader != "" {
		visitors.share = mostOfProxy
	}
	err = srv.Serve(visitors)
	if !stop() {
		<-answered
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// crowd takes no further connection of those who have all their places.
type crowd struct {
	net.Listener
	share int // of one address elsewhere

	mu     sync.Mutex
	guests map[netip.Prefix]int // by where they come from; the zero Prefix is this machine
	far    int                  // those from elsewhere
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		from := networkOf(host)
		if from.Addr().IsLoopback() {
			from = netip.Prefix{}
		}
		if c.enter(from) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { c.leave(from) })}, nil
		}
		_ = conn.Close() // nothing was read or written
	}
}

// enter takes a place, if there is one.
func (c *crowd) enter(from netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch far := from.IsValid(); {
	case !far && c.guests[from] >= mostConnections, far && (c.far >= mostConnections || c.guests[from] >= c.share):
		return false
	case far:
		c.far++
	}
	if c.guests == nil {
		c.guests = map[netip.Prefix]int{}
	}
	c.guests[from]++
	return true
}

func (c *crowd) leave(from netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if from.IsValid() {
		c.far--
	}
	if c.guests[from]--; c.guests[from] == 0 {
		delete(c.guests, from)
	}
}

// guest makes room when it leaves.
type guest struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}

// counter counts what happens now and then.
type counter struct {
	mu sync.Mutex
	n  int
	at time.Time
}

func (c *counter) add(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n, c.at = c.n+1, now
}

func (c *counter) read() (n int, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n, c.at
}
