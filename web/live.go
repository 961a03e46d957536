package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"sumbi/queue"
)

const (
	liveBeat     = time.Second      // between two readings of what is watched
	liveShare    = 50               // a reading that takes long is made less often: the pause after it is so many times as long,
	liveLongest  = 5 * time.Second  // and at most this, as one that was slow says little of the next
	liveSilence  = 15 * time.Second // after it something is sent to see whether the reader is still there
	liveDeadline = 5 * time.Second  // for the reader to take an event
	liveAge      = 15 * time.Minute // then the browser comes again, and is asked again who it is
	liveMost     = 64               // watchers at a time
	liveAhead    = 4                // events that a reader may be behind
)

// liveView is what of a view changes by itself while somebody watches. Its page has data-events="view=NAME" or, with an
// argument, "view=NAME&arg=X" on some element.
type liveView struct {
	blocks []string // each is the name of a template, and the id of the element whose inside that is
	// data is what the blocks show, as .Data; read once for everybody who watches the same argument.
	data func(ctx context.Context, arg string) (any, error)
}

// watch makes a view live. It comes before the first request.
func (s *Server) watch(name string, v liveView) {
	if s.lives == nil {
		s.lives = map[string]liveView{}
	}
	s.lives[name] = v
}

// hub reads what is watched, and tells who watches. It works only while somebody does.
type hub struct {
	mu     sync.Mutex
	feeds  map[feedKey]*feed
	n      int // watchers of all feeds
	closed bool
	wg     sync.WaitGroup
}

type feedKey struct{ view, arg string }

type feed struct {
	watchers map[*watcher]struct{}
	joined   chan struct{} // somebody new waits for his first events
	stop     context.CancelFunc
}

// watcher is one reader of events. A reader that is too far behind is dropped: its channel is closed.
type watcher struct {
	lang   string
	events chan []byte
	fresh  bool // it wants to be sent all, as it has nothing or may show something old
	lost   bool // it was told that nothing can be read
}

var errCrowded = errors.New("too many browsers watch; close some")

// join adds a watcher. The first one sets its feed going.
func (s *Server) join(ctx context.Context, key feedKey, lang string) (*watcher, error) {
	h := &s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n >= liveMost || h.closed {
		return nil, errCrowded
	}
	w := &watcher{lang: lang, events: make(chan []byte, liveAhead), fresh: true}
	f := h.feeds[key]
	if f == nil {
		if h.feeds == nil {
			h.feeds = map[feedKey]*feed{}
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // the first watcher may leave before others
		f = &feed{watchers: map[*watcher]struct{}{}, joined: make(chan struct{}, 1), stop: stop}
		h.feeds[key] = f
		h.wg.Go(func() { s.feed(ctx, key, f) })
	} else {
		select {
		case f.joined <- struct{}{}:
		default:
		}
	}
	f.watchers[w] = struct{}{} // the feed looks at them under mu
	h.n++
	return w, nil
}

// leave removes a watcher. The last one ends its feed.
func (h *hub) leave(key feedKey, w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.feeds[key]; f != nil {
		h.drop(key, f, w)
	}
}

// drop removes w from f, if it is there. The caller holds mu.
func (h *hub) drop(key feedKey, f *feed, w *watcher) {
	if _, ok := f.watchers[w]; !ok {
		return
	}
	delete(f.watchers, w)
	close(w.events)
	h.n--
	if len(f.watchers) == 0 {
		f.stop()
		delete(h.feeds, key)
	}
}

// close ends all feeds and waits for them.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	for key, f := range h.feeds {
		for w := range f.watchers {
			h.drop(key, f, w)
		}
	}
	h.mu.Unlock()
	h.wg.Wait()
}

// languages are those in which f is read.
func (h *hub) languages(f *feed) (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range f.watchers {
		if !slices.Contains(all, w.lang) {
			all = append(all, w.lang)
		}
	}
	return all
}

// feed reads and sends until ctx ends.
func (s *Server) feed(ctx context.Context, key feedKey, f *feed) {
	view := s.lives[key.view]
	shown := map[string]string{} // by language and block
	for ctx.Err() == nil {
		began := time.Now()
		changed, whole, err := s.blocks(ctx, view, key.arg, s.hub.languages(f), shown)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			s.hub.send(key, f, changed, whole)
		} else if !errors.Is(err, queue.ErrNotFound) {
			s.hub.lose(key, f)
			if more, ok := s.badReads.say(s.now()); ok {
				s.Log.Error("live", "view", key.view, "err", err, "more_since_the_last_line", more)
			}
		}
		pause := time.NewTimer(max(s.beat, min(liveShare*time.Since(began), liveLongest)))
		select {
		case <-ctx.Done():
		case <-pause.C:
		case <-f.joined:
		}
		pause.Stop()
	}
}

// blocks reads and renders. It returns, by language, the events of the blocks that are not as shown, and those of all.
func (s *Server) blocks(ctx context.Context, view liveView, arg string, languages []string, shown map[string]string) (changed, whole map[string][][]byte, err error) {
	defer func() { // net/http does the same for its handlers: the work goes on
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	data, err := view.data(ctx, arg)
	if err != nil {
		return nil, nil, err
	}
	changed, whole = map[string][][]byte{}, map[string][][]byte{}
	for _, lang := range languages {
		for _, block := range view.blocks {
			text, err := s.execute(block, page{Lang: lang, Data: data})
			if err != nil {
				return nil, nil, err
			}
			event, err := blockEvent(block, string(text))
			if err != nil {
				return nil, nil, err
			}
			whole[lang] = append(whole[lang], event)
			if id := lang + " " + block; shown[id] != string(text) {
				shown[id] = string(text)
				changed[lang] = append(changed[lang], event)
			}
		}
	}
	return changed, whole, nil
}

func blockEvent(id, html string) ([]byte, error) {
	b, err := json.Marshal(map[string]string{"id": id, "html": html})
	return fmt.Appendf(nil, "event: block\ndata: %s\n\n", b), err
}

// send gives each watcher what it has not seen. Nobody is waited for.
func (h *hub) send(key feedKey, f *feed, changed, whole map[string][][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range f.watchers {
		events := changed[w.lang]
		if w.fresh {
			events = whole[w.lang]
		}
		if len(events) == 0 {
			continue
		}
		h.give(key, f, w, slices.Concat(events...))
		w.fresh, w.lost = false, false
	}
}

// lostEvent says that what is shown is no longer what is.
var lostEvent = []byte("event: lost\ndata: {}\n\n")

// lose tells each watcher once that nothing can be read. After it they are sent all again.
func (h *hub) lose(key feedKey, f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range f.watchers {
		if !w.lost {
			w.fresh, w.lost = true, true
			h.give(key, f, w, lostEvent)
		}
	}
}

// give sends one watcher something, unless he is too far behind: then he is dropped. The caller holds mu.
func (h *hub) give(key feedKey, f *feed, w *watcher, event []byte) {
	select {
	case w.events <- event:
	default:
		h.drop(key, f, w)
	}
}

// events streams what changes in a view.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	key := feedKey{r.URL.Query().Get("view"), r.URL.Query().Get("arg")}
	if _, ok := s.lives[key.view]; !ok {
		http.Error(w, "nothing of this view is live", http.StatusNotFound)
		return
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return
	}
	me, err := s.join(r.Context(), key, language(r))
	if err != nil {
		w.Header().Set("Retry-After", "30")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer s.hub.leave(key, me)
	to := http.NewResponseController(w)
	_ = to.SetReadDeadline(time.Time{}) // the server's own would end the stream
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.Header().Add("Vary", "Accept-Language, Cookie")
	send := func(b []byte) bool {
		if err := to.SetWriteDeadline(time.Now().Add(liveDeadline)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return false
		}
		_, err := w.Write(b)
		return err == nil && to.Flush() == nil
	}
	ok := send([]byte("retry: 3000\n\n"))
	silence := time.NewTicker(liveSilence)
	defer silence.Stop()
	age := time.NewTimer(liveAge)
	defer age.Stop()
	for open := true; ok && open; {
		select {
		case <-r.Context().Done():
			return
		case <-age.C:
			return
		case <-silence.C:
			ok = send([]byte(":\n\n"))
		case b, more := <-me.events:
			open = more
			if more {
				ok = send(b)
			}
		}
	}
}
