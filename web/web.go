// Package web is what sumbi listens with: health for the platform, webhooks from upstreams, metrics and a plain status.
package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

// maxWebhook is the size of a webhook's body that is read at most.
const maxWebhook = 64 << 10

// Server answers on one address. Without a Token everything is open, which is for loopback only; with one, only /healthz
// and the signed webhook are.
type Server struct {
	Store *queue.Store
	Log   *slog.Logger
	Token string
	// Verify checks a webhook's signature before anything of it is read, and names the webhook and the batch it speaks of
	// ("" for events that are about something else). nil refuses all webhooks.
	Verify  func(h http.Header, body []byte, now time.Time) (id, batch string, err error)
	Metrics http.Handler                                 // nil = none
	Status  func(ctx context.Context, w io.Writer) error // the text of the status page
}

// Handler returns the routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("POST /webhooks/openai", s.webhook)
	mux.Handle("GET /{$}", s.guard(http.HandlerFunc(s.status)))
	if s.Metrics != nil {
		mux.Handle("GET /metrics", s.guard(s.Metrics))
	}
	return headers(mux)
}

// headers keeps browsers from doing anything with an answer but show it.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// guard asks for the token, as a bearer token or as the password of basic authentication.
func (s *Server) guard(next http.Handler) http.Handler {
	if s.Token == "" {
		return next
	}
	want := sha256.Sum256([]byte(s.Token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, given, _ = r.BasicAuth()
		}
		got := sha256.Sum256([]byte(given))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="sumbi", charset="UTF-8"`)
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := s.Store.Ping(ctx); err != nil {
		s.Log.Error("health", "err", err)
		http.Error(w, "the state file does not answer", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.Status(r.Context(), w); err != nil {
		s.Log.Error("status", "err", err)
		http.Error(w, "the status cannot be read", http.StatusInternalServerError)
	}
}

// webhook makes the next look at a batch come now. Polling stays the truth: a lost webhook costs only time.
func (s *Server) webhook(w http.ResponseWriter, r *http.Request) {
	if s.Verify == nil {
		http.Error(w, "webhooks are off: OPENAI_WEBHOOK_SECRET is not set", http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	id, batch, err := s.Verify(r.Header, body, s.Store.Now())
	if err != nil {
		s.Log.Warn("webhook refused", "err", err)
		http.Error(w, "the signature does not fit", http.StatusUnauthorized)
		return
	}
	known, err := s.look(r.Context(), id, batch)
	if err != nil {
		s.Log.Error("webhook", "err", err)
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	s.Log.Info("webhook", "batch", batch, "repeated", known)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) look(ctx context.Context, id, batch string) (known bool, err error) {
	err = s.Store.Tx(ctx, func(tx *queue.Tx) error {
		if known, err = tx.SeenWebhook(id); err != nil || known || batch == "" {
			return err
		}
		b, err := tx.BatchByUpstream(batch)
		if errors.Is(err, queue.ErrNotFound) {
			return nil // somebody else's batch
		}
		if err != nil {
			return err
		}
		return tx.Hurry(jobs.BatchKey(b.ID))
	})
	return known, err
}

// Listen serves on addr until ctx ends.
func (s *Server) Listen(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; change listen or end what uses it", addr, err)
	}
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	defer context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(end)
	})()
	s.Log.Info("listening", "addr", l.Addr().String())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
