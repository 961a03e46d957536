package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sumbi/adapters/mongo/mongotest"
	"sumbi/sim"
)

// stored reads the places as the export would print them.
func stored(t *testing.T, uri, database string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, d := range collection(t, uri, database, "places") {
		if _, ok := d["firstSeen"].(bson.DateTime); !ok {
			t.Fatalf("firstSeen is a %T", d["firstSeen"])
		}
		b, err := json.Marshal(plain(d))
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		all[m["_id"].(string)] = m
	}
	return all
}

func collection(t *testing.T, uri, database, name string) (docs []bson.M) {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Disconnect(t.Context()) }()
	cur, err := c.Database(database).Collection(name).Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	return docs
}

// plain turns BSON into what the export prints.
func plain(v any) any {
	switch v := v.(type) {
	case bson.M:
		m := map[string]any{}
		for k, x := range v {
			m[k] = plain(x)
		}
		return m
	case bson.D:
		m := map[string]any{}
		for _, e := range v {
			m[e.Key] = plain(e.Value)
		}
		return m
	case bson.A:
		a := []any{}
		for _, x := range v {
			a = append(a, plain(x))
		}
		return a
	case bson.DateTime:
		return v.Time().UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return v
}

// TestDelivery delivers to a server that is away at first, dies in the middle and comes back: nothing is lost, and nothing else waits.
func TestDelivery(t *testing.T) {
	t.Parallel()
	m := mongotest.Start(t)
	m.NeedOwn()
	db := m.Database()
	m.Kill()
	w := newWorld(t, sim.Options{Seed: 41, Accounts: 3, Posts: 60, Latency: 20 * time.Millisecond}, fmt.Sprintf("every = \"72h\"\n[mongo]\ndatabase = %q\n[queue]\nbackoff = \"100ms\"\nbackoff_max = \"500ms\"\n", db))
	w.env = append(w.env, "MONGODB_URI="+m.URI())
	sv := w.serve()
	s := w.state()
	w.until("all is matched although MongoDB is away", func() bool {
		p, err := s.Progress(t.Context(), 1)
		return err == nil && p.ListsLeft == 0 && p.Mentions > 0 && p.MentionsLeft == 0 && p.Waiting+p.InBatch == 0
	})
	p, err := s.Progress(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if p.Outbox != p.Places || p.Places < 60 {
		t.Errorf("%d places, %d of them wait for delivery", p.Places, p.Outbox)
	}
	m.Start()
	w.until("delivery has begun", func() bool {
		p, err := s.Progress(t.Context(), 1)
		return err == nil && p.Outbox < p.Places
	})
	m.Kill()
	m.Start()
	w.until("all is delivered", func() bool {
		p, err := s.Progress(t.Context(), 1)
		return err == nil && p.Outbox == 0
	})
	w.until("the run ends", w.runDone(s, 1))
	if diff := gocmp.Diff(w.places(), stored(t, m.URI(), db)); diff != "" {
		t.Errorf("MongoDB differs from the state (-state +mongo):\n%s", diff)
	}

	// An edit changes the document, or takes it away with its last mention.
	for id, post := range w.Posts() {
		if len(post.Mentions) > 0 && w.EditCaption(id) {
			break
		}
	}
	_ = sv.cmd.Process.Signal(syscall.SIGTERM)
	<-sv.done
	w.mustRun("run", "--full", "matzip")
	if diff := gocmp.Diff(w.places(), stored(t, m.URI(), db)); diff != "" {
		t.Errorf("after an edit MongoDB differs from the state (-state +mongo):\n%s", diff)
	}
}

// TestVelogDelivery delivers users and posts to a real server: one document a user draws everything, one a post holds its days.
func TestVelogDelivery(t *testing.T) {
	t.Parallel()
	m := mongotest.Start(t)
	db := m.Database()
	w := newVelogWorld(t, sim.Options{Seed: 42, Velog: sim.VelogOptions{Users: 2, Posts: 3}})
	config, err := os.ReadFile(filepath.Join(w.dir, "sumbi.toml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("sumbi.toml", fmt.Sprintf("%s[mongo]\ndatabase = %q\n", config, db))
	w.env = append(w.env, "MONGODB_URI="+m.URI())
	for _, u := range w.Velog().Users() {
		if status, text := w.login(u); status != 0 {
			t.Fatalf("login: %d %s", status, text)
		}
	}
	w.mustRun("run", "velog")
	users, posts := collection(t, m.URI(), db, "users"), collection(t, m.URI(), db, "postStats")
	number := func(v any) int64 {
		switch v := v.(type) {
		case int32:
			return int64(v)
		case int64:
			return v
		}
		return -1
	}
	want := 0
	for _, u := range w.Velog().Users() {
		i := slices.IndexFunc(users, func(d bson.M) bool { return d["_id"] == u.Username })
		if i < 0 {
			t.Fatalf("%s is not among %v", u.Username, users)
		}
		d := users[i]
		views, mine := int64(0), 0
		for _, p := range w.Velog().Posts(u.Username) {
			if p.Temp { // a draft
				continue
			}
			mine++
			truth := w.Velog().Truth(p.ID)
			k := slices.IndexFunc(posts, func(d bson.M) bool { return d["_id"] == p.ID })
			if k < 0 {
				t.Fatalf("post %s of %s is not among %v", p.ID, u.Username, posts)
			}
			n := number(posts[k]["views"])
			if most := truth[len(truth)-1].Total; n <= 0 || n > most || posts[k]["user"] != u.Username { // it goes on being read
				t.Errorf("%d views by now: %v", most, posts[k])
			}
			views += n
		}
		want += mine
		list, _ := d["postList"].(bson.A)
		if d["userId"] != u.ID || d["tokenDeadSince"] != nil || (mine > 0 && number(d["views"]) != views) || len(list) != mine {
			t.Errorf("%s has %d views and %d posts: %v", u.Username, views, mine, d)
		}
	}
	if len(users) != 2 || len(posts) != want || want == 0 {
		t.Errorf("%d users and %d posts, want 2 and %d", len(users), len(posts), want)
	}
	gone := w.Velog().Users()[0].Username
	w.mustRun("logout", "velog", gone)
	w.mustRun("run", "velog")
	for _, d := range collection(t, m.URI(), db, "users") {
		if list, _ := d["postList"].(bson.A); (d["userId"] == "") != (d["_id"] == gone) || (d["_id"] == gone && len(list) == 0) {
			t.Errorf("after the logout of %s: %v", gone, d)
		}
	}
}
