//go:build unix

package web_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"sumbi/queue/bigtest"
	"sumbi/web"
	"sumbi/web/browsertest"
)

// BenchmarkMap answers over 50,000 places: the first look after a start, the next one once something may have changed, and what
// is asked in between.
func BenchmarkMap(b *testing.B) {
	s := bigtest.Open(b, postgres)
	w := &web.Server{Store: s, Log: slog.New(slog.DiscardHandler)}
	h := w.Handler()
	ask := func(b *testing.B, path string) (n int64) {
		b.Helper()
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost"+path, nil)
		r.RemoteAddr = "127.0.0.1:1"
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Encoding", "gzip")
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		n, err := io.Copy(io.Discard, out.Body)
		if out.Code != http.StatusOK || err != nil {
			b.Fatal(out.Code, err)
		}
		return n
	}
	cpu := func(b *testing.B, f func()) {
		began := cpuTime(b)
		for b.Loop() {
			f()
			ask(b, "/map")
		}
		b.ReportMetric(float64((cpuTime(b)-began).Milliseconds())/float64(b.N), "cpu-ms/op")
	}
	b.Run("first look", func(b *testing.B) { cpu(b, w.MapForget) })
	b.Run("next look", func(b *testing.B) { cpu(b, w.MapStale) })
	for name, path := range map[string]string{
		"page": "/map", "points": "/map/points", "list": "/map/list?box=37.4,126.8,37.7,127.2", "account": "/map/points?account=" + bigtest.Account(7), "days": "/map/points?from=2026-01-01&to=2026-06-30",
		"advertising": "/map/points?ad=yes", "file of 4,000": "/map.csv?area=%EC%A0%9C%EC%A3%BC", "name": "/map/points?q=%EA%B5%AD%EB%B0%A5",
	} {
		b.Run(name, func(b *testing.B) {
			ask(b, path)
			var n int64
			for b.Loop() {
				n = ask(b, path)
			}
			b.ReportMetric(float64(n), "bytes")
		})
	}
	b.Run("memory", func(b *testing.B) {
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		for b.Loop() {
			w.MapForget()
			before := heap()
			ask(b, "/map")
			b.ReportMetric(float64(heap()-before)/1e6, "MB")
		}
	})
}

// cpuTime is how long the process has kept processors busy.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMapMemory wants the places of a large state to take little memory while somebody looks, also when they are read again, and none
// afterwards; and no garbage to pile up for them.
func TestMapMemory(t *testing.T) {
	s := bigtest.Open(t, postgres)
	w := &web.Server{Store: s, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	srv := httptest.NewServer(w.Handler())
	t.Cleanup(srv.Close)
	look := func() {
		t.Helper()
		if code, body, _ := call(t, "GET", srv.URL+"/map", "", "Accept", "text/html"); code != http.StatusOK {
			t.Fatal(code, body)
		}
	}
	state := func() (heap int64, percent int) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		percent = debug.SetGCPercent(100)
		debug.SetGCPercent(percent)
		return int64(m.HeapAlloc), percent
	}
	look()
	w.MapForget()
	before, usual := state()
	for _, what := range []string{"read", "read again", "and again"} {
		look()
		heap, percent := state()
		if held := heap - before; held > 9e6 {
			t.Errorf("%s: %d places take %d bytes", what, bigtest.Places, held)
		}
		if percent >= usual*9/10 {
			t.Errorf("%s: garbage may be %d %% of what is held, %d %% without places", what, percent, usual)
		}
		w.MapStale()
	}
	w.MapForget()
	if heap, percent := state(); heap-before > 1e6 || percent != usual {
		t.Errorf("forgotten: %d bytes are held, garbage may be %d %% of what is held, want %d %%", heap-before, percent, usual)
	}
}

// TestMapSpeed tells how long the map takes to be there in a browser, and how long a filter takes. The machine may be busy: only
// what nobody would wait for fails.
func TestMapSpeed(t *testing.T) {
	_, url := bigHouse(t, nil)
	p := browsertest.Open(t, url+"/map", browsertest.Options{})
	p.Wait(mapReady)
	timing := func(what string) {
		t.Helper()
		began := time.Now()
		p.Go(url + "/map")
		p.Wait(mapReady)
		took := time.Since(began)
		cluster := browsertest.Eval[float64](p, `performance.getEntriesByName("map-clusters").at(-1).duration`)
		t.Logf("%s: ready after %s, of them %.0f ms to cluster %s places", what, took.Round(time.Millisecond), cluster, browsertest.Eval[string](p, `document.getElementById("map").dataset.shown`))
	}
	timing("again")
	timing("and again")
}
