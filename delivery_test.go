package main

import (
	"encoding/json"
	"fmt"
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

// stored reads the collection as the export would print it.
func stored(t *testing.T, uri, database string) map[string]map[string]any {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Disconnect(t.Context()) }()
	cur, err := c.Database(database).Collection("places").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var docs []bson.M
	if err := cur.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	for _, d := range docs {
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
