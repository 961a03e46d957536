package instagram_test

import (
	"context"
	"strings"
	"testing"

	"sumbi/adapters"
	"sumbi/adapters/instagram"
	"sumbi/adapters/rest"
	"sumbi/sim"
)

// world is an imitated Instagram and a source that reads it.
type world struct {
	*sim.Server
	t      *testing.T
	source *instagram.Source
	client *rest.Client
	name   string // of the account that things happen to
	id     string
	keys   string // of its first page
}

func newWorld(t *testing.T, o sim.Options) *world {
	t.Helper()
	o.Seed, o.Accounts, o.Posts = 5, 2, 60
	w := &world{Server: sim.New(o), t: t}
	base, stop, err := w.Start()
	if err != nil {
		t.Fatal(err)
	}
	w.client = rest.New(rest.Options{
		Upstream: "instagram", BaseURL: base + sim.InstagramPath, Classify: instagram.Classify,
		Limits: instagram.Limits([]adapters.Secret{sim.DefaultRapidAPIKey}, "", 0, nil),
	})
	t.Cleanup(func() {
		_ = w.client.Close(context.WithoutCancel(t.Context()))
		stop()
	})
	w.source = instagram.New(instagram.Options{BaseURL: base + sim.InstagramPath, Client: w.client})
	w.name = w.Accounts()[0]
	pg := w.fetch(adapters.Query{List: "posts"})
	if pg.ID == "" || pg.Name != w.name {
		t.Fatalf("page is of %q with the name %q", pg.ID, pg.Name)
	}
	w.id, w.keys = pg.ID, keysOf(pg)
	return w
}

func keysOf(pg adapters.Page) string {
	var ks []string
	for _, r := range pg.Records {
		ks = append(ks, r.Key)
	}
	return strings.Join(ks, " ")
}

// fetch is a page that must come.
func (w *world) fetch(q adapters.Query) adapters.Page {
	w.t.Helper()
	q.Target = w.name
	pg, err := w.source.Fetch(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return pg
}

// refused is a page that is refused for good; it returns why.
func (w *world) refused(q adapters.Query, reason string) string {
	w.t.Helper()
	q.Target = w.name
	pg, err := w.source.Fetch(w.t.Context(), q)
	if e := adapters.Classify(err); err == nil || e.Kind != adapters.Permanent || e.Reason != reason {
		w.t.Fatalf("got %d records and %v, want %s", len(pg.Records), err, reason)
	}
	return err.Error()
}

func TestRename(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{})
	second := w.fetch(adapters.Query{List: "posts", ID: w.id}).Next
	w.Rename(w.name, "새 이름.맛집")

	w.refused(adapters.Query{List: "posts"}, adapters.ReasonGone) // nothing is known of it
	before := w.client.Limits()[0].Used
	pg := w.fetch(adapters.Query{List: "posts", ID: w.id})
	if n := w.client.Limits()[0].Used - before; n != 2 {
		t.Errorf("%d calls to find it by its id", n)
	}
	if pg.ID != w.id || pg.Name != "새 이름.맛집" || keysOf(pg) != w.keys {
		t.Errorf("page is of %q, named %q, with %s", pg.ID, pg.Name, keysOf(pg))
	}
	own := 0
	for _, r := range pg.Records {
		if r.Owner == w.name {
			own++
		}
	}
	if own < len(pg.Records)/2 {
		t.Errorf("%d of %d records belong to %s", own, len(pg.Records), w.name)
	}
	if pg.Total == 0 {
		t.Error("its count is not told")
	}

	// In the middle of a list the name alone says nothing: the walk begins again.
	w.refused(adapters.Query{List: "posts", ID: w.id, Cursor: second}, adapters.ReasonCursor)
	// From then on one call is enough.
	before = w.client.Limits()[0].Used
	pg = w.fetch(adapters.Query{List: "posts", ID: w.id, ByID: true, Cursor: second})
	if n := w.client.Limits()[0].Used - before; n != 1 || pg.Name != "새 이름.맛집" || len(pg.Records) == 0 {
		t.Errorf("%d calls for a page with %d records, named %q", n, len(pg.Records), pg.Name)
	}

	w.Rename("새 이름.맛집", w.name)
	if pg := w.fetch(adapters.Query{List: "posts", ID: w.id, ByID: true}); pg.Name != w.name {
		t.Errorf("renamed back, it is named %q", pg.Name)
	}
}

func TestTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{})
	w.Rename(w.name, "새이름")
	other := w.Join(w.name, 5)
	if pg := w.fetch(adapters.Query{List: "posts", ID: w.id}); pg.Name != "새이름" || keysOf(pg) != w.keys {
		t.Errorf("it was followed to %q, with %s", pg.Name, keysOf(pg))
	}
	w.Leave("새이름")
	for _, list := range []string{"posts", "reels"} {
		why := w.refused(adapters.Query{List: list, ID: w.id}, adapters.ReasonGone)
		for _, want := range []string{w.name, "another account", other, w.id, "put " + other + " into accounts"} {
			if !strings.Contains(why, want) {
				t.Errorf("%q does not say %q", why, want)
			}
		}
	}
	// Whoever wants the other one names it by its id, and is not asked what it is called.
	w.name = other
	if pg := w.fetch(adapters.Query{List: "posts"}); pg.ID != other || pg.Name != other || len(pg.Records) == 0 {
		t.Errorf("page is of %q, named %q, with %d records", pg.ID, pg.Name, len(pg.Records))
	}
}

// A name that is not found while the account is, is a hiccup: the page by its id is as good.
func TestFalseNotFound(t *testing.T) {
	t.Parallel()
	o := sim.Options{}
	o.Faults.Instagram.FalseNotFound = sim.Fault{Skip: 1, Count: 1}
	w := newWorld(t, o)
	if pg := w.fetch(adapters.Query{List: "posts", ID: w.id}); pg.Name != w.name || keysOf(pg) != w.keys {
		t.Errorf("page is named %q, with %s", pg.Name, keysOf(pg))
	}
}

func TestLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{})
	w.Leave(w.name)
	before := w.client.Limits()[0].Used
	w.refused(adapters.Query{List: "posts", ID: w.id}, adapters.ReasonGone)
	if n := w.client.Limits()[0].Used - before; n != 3 {
		t.Errorf("%d calls to be sure that it is gone", n)
	}
}
