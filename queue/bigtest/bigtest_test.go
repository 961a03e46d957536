package bigtest_test

import (
	"os"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/queue"
	"sumbi/queue/bigtest"
	"sumbi/queue/pgtest"
)

var postgres = sync.OnceValues(pgtest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	if pgtest.Wanted() {
		if s, err := postgres(); err == nil {
			_ = s.Close()
		}
	}
	os.Exit(code)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	s := bigtest.Open(t, postgres)
	ctx := t.Context()
	run, err := s.LastRun(ctx, "matzip")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Progress(ctx, run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if p.Places != bigtest.Places || p.Posts != bigtest.Posts*9/10 || p.Run.State != "running" || p.Waiting == 0 || p.InBatch == 0 || p.MentionsLeft == 0 || p.Dead == 0 || p.ListsLeft == 0 {
		t.Errorf("progress %+v", p)
	}
	for f, most := range map[queue.ReviewFilter]int{{}: 10_000, {All: true}: 200_000} {
		if n, err := s.CountReviews(ctx, f); err != nil || n < most/4 || n > most {
			t.Errorf("%+v: %d mentions, %v", f, n, err)
		}
	}
	m, err := s.Reviews(ctx, queue.ReviewFilter{}, 0, 1)
	if err != nil || len(m) != 1 {
		t.Fatal(m, err)
	}
	options, asked, err := s.Options(ctx, m[0].ID)
	if err != nil || len(options) == 0 || options[0].Name != m[0].Name || len(asked) != 2 {
		t.Errorf("%q has the candidates %+v after %+v, %v", m[0].Name, options, asked, err)
	}
	if n, err := s.Notices(ctx); err != nil || len(n) < 10 {
		t.Errorf("%d troubles, %v", len(n), err)
	}
	// What the nasty names are is read back as it was.
	names := map[string]bool{}
	for _, name := range bigtest.Nasty() {
		lines, err := s.PlaceLines(ctx, name, false, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			names[l.Name] = true
		}
	}
	for _, name := range bigtest.Nasty() {
		if !names[name] {
			t.Errorf("no place is called %q", name)
		}
	}
}

func TestSame(t *testing.T) {
	if raced {
		t.Skip("made again without the race detector only")
	}
	t.Parallel()
	schema, err := bigtest.Schema()
	if err != nil {
		t.Fatal(err)
	}
	again := t.TempDir() + "/또.db"
	if err := bigtest.Make(t.Context(), again, schema, bigtest.Now(), bigtest.Size{Accounts: bigtest.Accounts, Posts: bigtest.Posts, Places: bigtest.Places}); err != nil {
		t.Fatal(err)
	}
	sample := func(path string) (all []queue.PlaceMentions) {
		s, err := queue.Open(t.Context(), path, schema, queue.Guest)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		rows, err := s.PlaceLines(t.Context(), "국밥", false, 50)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			p, err := s.Place(t.Context(), r.ID)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		return all
	}
	got, want := sample(again), sample(bigtest.File(t))
	if len(want) == 0 {
		t.Fatal("no place is called 국밥")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("made twice (-before +after):\n%s", d)
	}
}
