package mongo_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"sumbi/adapters"
	"sumbi/adapters/adaptertest"
	"sumbi/adapters/mongo"
	"sumbi/adapters/mongo/mongotest"
)

const nampo = `{
	"_id": "남포", "name": "남포 <면옥>", "category": "음식점>냉면", "address": "서울 중구 다동 126", "link": "https://example.com/남포?a=1&b=2", "phone": "02-000-0000",
	"location": {"type": "Point", "coordinates": [127, 37.567512345678901]}, "finder": "naver",
	"mentions": [{"post": "3533250442263839403", "account": "matjib.kim", "takenAt": "2026-11-20T03:00:00.123Z", "name": "남포면옥",
		"menu": [{"name": "평양냉면 🍜", "price": 15000}], "ad": false, "quote": "육수가 \"미쳤다\"\n", "score": 1}],
	"firstSeen": "2026-11-20T12:00:00+09:00", "lastSeen": "2026-11-21T03:00:00.000Z", "mentionCount": 1, "views": 3000000000, "query": null
}`

func TestStoredTypes(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	db := srv.Database()
	s := open(t, mongo.Options{URI: adapters.Secret(srv.URI()), Database: db})
	if err := s.Write(t.Context(), "1", []adapters.Record{place("남포", nampo)}); err != nil {
		t.Fatal(err)
	}
	seen := func(text string) bson.DateTime {
		moment, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return bson.NewDateTimeFromTime(moment)
	}
	want := bson.M{
		"_id": "남포", "name": "남포 <면옥>", "category": "음식점>냉면", "address": "서울 중구 다동 126", "link": "https://example.com/남포?a=1&b=2", "phone": "02-000-0000",
		"location": bson.D{{Key: "type", Value: "Point"}, {Key: "coordinates", Value: bson.A{127.0, 37.567512345678901}}}, "finder": "naver",
		"mentions": bson.A{bson.D{
			{Key: "post", Value: "3533250442263839403"},
			{Key: "account", Value: "matjib.kim"},
			{Key: "takenAt", Value: seen("2026-11-20T03:00:00.123Z")},
			{Key: "name", Value: "남포면옥"},
			{Key: "menu", Value: bson.A{bson.D{{Key: "name", Value: "평양냉면 🍜"}, {Key: "price", Value: int32(15000)}}}},
			{Key: "ad", Value: false},
			{Key: "quote", Value: "육수가 \"미쳤다\"\n"},
			{Key: "score", Value: 1.0},
		}},
		"firstSeen": seen("2026-11-20T03:00:00Z"), "lastSeen": seen("2026-11-21T03:00:00Z"), "mentionCount": int32(1), "views": int64(3_000_000_000),
	}
	got := document(t, collection(t, srv.URI(), db, "place"), "남포")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

func TestUpdateKeepsWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	db := srv.Database()
	s := open(t, mongo.Options{URI: adapters.Secret(srv.URI()), Database: db, Collection: func(string) string { return "맛집" }})
	places := collection(t, srv.URI(), db, "맛집")
	write := func(recs ...adapters.Record) {
		t.Helper()
		if err := s.Write(t.Context(), "1", recs); err != nil {
			t.Fatal(err)
		}
	}
	write(place("a", `{"name":"옛집","phone":"02-1","link":"https://example.com","location":{"type":"Point","coordinates":[127.1,37.5]}}`))
	if _, err := places.UpdateByID(t.Context(), "a", bson.D{{Key: "$set", Value: bson.D{{Key: "memo", Value: "또 가자"}}}}); err != nil {
		t.Fatal(err)
	}
	// The same key twice in one batch: the last one counts.
	write(place("a", `{"name":"둘째","phone":"02-2"}`), place("a", `{"name":"새집","link":null}`))
	want := bson.M{"_id": "a", "name": "새집", "memo": "또 가자"}
	if diff := cmp.Diff(want, document(t, places, "a")); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	write(adapters.Record{Stream: "place", Key: "a"})
	if got := document(t, places, "a"); got != nil {
		t.Errorf("a deleted document is still there: %v", got)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	o := adaptertest.SinkOptions{
		Records: []adapters.Record{
			place("가", `{"name":"을지면옥","phone":"02-1","mentions":[{"account":"a"}],"lastSeen":"2026-11-20T03:00:00.000Z"}`),
			place("나", `{"name":"필동면옥","location":{"type":"Point","coordinates":[127,37.5]},"mentions":[{"account":"b"}],"lastSeen":"2026-11-20T03:00:00.001Z"}`),
			{Stream: "post", Key: "가", Data: json.RawMessage(`{"name":"우래옥","link":"https://example.com","mentions":[],"lastSeen":"2026-11-20T03:00:00.002Z"}`)},
		},
		Stored: func(t *testing.T, s adapters.Sink) map[string]string { return s.(*probe).stored(t) },
		Open: func(t *testing.T) adapters.Sink {
			p := &probe{uri: srv.URI(), database: srv.Database()}
			if srv.Addr() != "" {
				p.cutter = newCutter(t, srv.Addr())
				p.uri = p.cutter.uri()
			}
			p.Sink = open(t, mongo.Options{URI: adapters.Secret(p.uri), Database: p.database, Warn: func(string) {}})
			return p
		},
	}
	if srv.Addr() != "" {
		o.Break = func(_ *testing.T, s adapters.Sink, n int) {
			if n == 0 {
				s.(*probe).cutter.before.Store(true)
			} else {
				s.(*probe).cutter.after.Store(true)
			}
		}
	}
	adaptertest.Sink(t, o)
}

// probe is a sink that knows where its documents are.
type probe struct {
	*mongo.Sink
	uri, database string
	cutter        *cutter
}

func (p *probe) stored(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"place", "post"} {
		cursor, err := collection(t, p.uri, p.database, name).Find(t.Context(), bson.D{})
		if err != nil {
			t.Fatal(err)
		}
		var docs []bson.M
		if err := cursor.All(t.Context(), &docs); err != nil {
			t.Fatal(err)
		}
		for _, doc := range docs {
			text, err := json.Marshal(doc) // sorts the fields
			if err != nil {
				t.Fatal(err)
			}
			out[name+"/"+doc["_id"].(string)] = string(text)
		}
	}
	return out
}

func TestServerKilledWhileWriting(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	srv.NeedOwn()
	db := srv.Database()
	s := open(t, mongo.Options{URI: adapters.Secret(srv.URI()), Database: db, Warn: func(string) {}})
	const batches, size = 12, 120
	var reached atomic.Int64
	midway := make(chan struct{})
	failed := make(chan int, 1)
	go func() {
		failures := 0
		defer func() { failed <- failures }()
		for n := range batches {
			var recs []adapters.Record
			for i := range size {
				recs = append(recs, place(fmt.Sprintf("%02d-%03d", n, i), `{"name":"맛집 %d","mentionCount":%d}`, i, n))
			}
			if reached.Add(1) == batches/2 {
				close(midway)
			}
			for {
				err := s.Write(t.Context(), "batch", recs)
				if err == nil {
					break
				}
				e := adapters.Classify(err)
				if e.Kind != adapters.Temporary || e.Reason != "unreachable" {
					t.Errorf("got %v (%v, %q), want a temporary error, unreachable", err, e.Kind, e.Reason)
					return
				}
				failures++
			}
		}
	}()
	<-midway
	srv.Kill()
	srv.Start()
	if <-failed == 0 {
		t.Log("the server was away between two writes; nothing failed")
	}
	n, err := collection(t, srv.URI(), db, "place").CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	if n != batches*size {
		t.Errorf("%d documents are stored, want %d", n, batches*size)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	uri := strings.Replace(srv.URI(), "://", "://sumbi:비밀%2Fhunter2@", 1)
	s := open(t, mongo.Options{URI: adapters.Secret(uri), Database: srv.Database()})
	results := map[string]error{
		"write": s.Write(t.Context(), "1", []adapters.Record{place("a", `{}`)}),
		"ping":  s.Ping(t.Context()),
	}
	// One that waits for a connection while another is let down hears of it from the driver in other words.
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range 32 {
		wg.Go(func() {
			err := s.Ping(t.Context())
			mu.Lock()
			defer mu.Unlock()
			results[fmt.Sprintf("ping %d", i)] = err
		})
	}
	wg.Wait()
	for name, err := range results {
		e := adapters.Classify(err)
		if e.Kind != adapters.NeedsHuman || e.Reason != adapters.ReasonKey || e.Upstream != "mongo" {
			t.Errorf("%s: got %v (%v, %q)", name, err, e.Kind, e.Reason)
		}
		if !strings.Contains(err.Error(), "does not accept the user and password in MONGODB_URI") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the sentence is wrong: %v", name, err)
		}
	}
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	const addr = "127.0.0.1:1" // nobody listens there: no port of that kind is given to whoever asks for any
	// The driver waits for all of its time, and has been refused once by then, however busy this machine is.
	s := open(t, mongo.Options{URI: "mongodb://sumbi:hunter2@" + addr + "/", Database: "sumbi", Patience: 5 * time.Second})
	var wg sync.WaitGroup
	for name, ask := range map[string]func() error{
		"write": func() error { return s.Write(t.Context(), "1", []adapters.Record{place("a", `{}`)}) },
		"ping":  func() error { return s.Ping(t.Context()) },
	} {
		wg.Go(func() {
			err := ask()
			e := adapters.Classify(err)
			const want = "mongo: no server answers at " + addr + ": connect: connection refused"
			if e == nil || e.Kind != adapters.Temporary || e.Reason != "unreachable" || err.Error() != want {
				t.Errorf("%s: got %v, want %s", name, err, want)
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ctx, "1", []adapters.Record{place("a", `{}`)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for name, uri := range map[string]string{
		"empty":               "",
		"another scheme":      "postgres://sumbi:hunter2@localhost/",
		"no scheme":           "sumbi:hunter2@localhost",
		"no host":             "mongodb://sumbi:hunter2@/",
		"slash in password":   "mongodb://sumbi:hun/hunter2@localhost/",
		"at in password":      "mongodb://sumbi:x@hunter2@localhost/",
		"percent in password": "mongodb://sumbi:hunter2%zz@localhost/",
		"colon in password":   "mongodb://sumbi:x:hunter2@localhost/",
		"bad port":            "mongodb://sumbi:hunter2@localhost:port/",
		"bad option":          "mongodb://sumbi:hunter2@localhost/?w=many&tls=hunter2",
		"srv, slash in it":    "mongodb+srv://sumbi:hun/hunter2@cluster.example.net/",
		"srv, no host":        "mongodb+srv://sumbi:hunter2@/",
		"unknown mechanism":   "mongodb://sumbi:hunter2@localhost/?authMechanism=hunter2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mongo.Open(t.Context(), mongo.Options{URI: adapters.Secret(uri), Database: "sumbi"})
			e := adapters.Classify(err)
			if e == nil || e.Kind != adapters.NeedsHuman || !strings.Contains(err.Error(), "MONGODB_URI is not an address") {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(fmt.Sprintf("%+v %#v", e, e.Err), secret) {
				t.Errorf("the password shows: %v", err)
			}
		})
	}
	if _, err := mongo.Open(t.Context(), mongo.Options{URI: "mongodb://localhost/"}); adapters.Classify(err) == nil {
		t.Error("a sink without a database was opened")
	}
	// A cluster whose name cannot be looked up is not Open's business.
	s, err := mongo.Open(t.Context(), mongo.Options{URI: "mongodb+srv://sumbi:hunter2@cluster.invalid/?srvMaxHosts=2", Database: "sumbi"})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Write(t.Context(), "1", []adapters.Record{place("a", `{}`)})
	if e := adapters.Classify(err); e == nil || e.Kind != adapters.Temporary || e.Reason != "unreachable" || strings.Contains(err.Error(), secret) {
		t.Errorf("a name that cannot be looked up: got %v", err)
	}
}

func TestRefusedDocuments(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	db := srv.Database()
	s := open(t, mongo.Options{URI: adapters.Secret(srv.URI()), Database: db})
	places := collection(t, srv.URI(), db, "place")
	for name, bad := range map[string]string{
		"not JSON":    `{"name":`,
		"a list":      `[1]`,
		"two objects": `{} {}`,
		"a dot":       `{"menu.name":"냉면"}`,
		"a dollar":    `{"$set":{}}`,
		"no name":     `{"":1}`,
		"too large":   `{"n":1e999}`,
		"too deep":    strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500),
		"zero byte":   `{"a":{"b\u0000":1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			err := s.Write(t.Context(), "1", []adapters.Record{place("나쁜", "%s", bad), place(name, `{"name":"좋은"}`)})
			e := adapters.Classify(err)
			if e == nil || e.Kind != adapters.Permanent || !strings.Contains(err.Error(), "document 나쁜 is refused: ") {
				t.Fatalf("got %v, want a permanent error that names the key", err)
			}
			if r, ok := errors.AsType[*mongo.Refused](err); !ok || !slices.Equal(r.Keys(), []string{"나쁜"}) {
				t.Errorf("got %v, want the key of the refused document", r)
			}
			if document(t, places, name) == nil {
				t.Error("the good document beside it was not written")
			}
		})
	}
}

func TestServerRefusesDocument(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	db := srv.Database()
	s := open(t, mongo.Options{URI: adapters.Secret(srv.URI()), Database: db})
	places := collection(t, srv.URI(), db, "place")
	// A unique index of the user's own refuses the second document of one name.
	if _, err := places.Indexes().CreateOne(t.Context(), driver.IndexModel{Keys: bson.D{{Key: "name", Value: 1}}, Options: options.Index().SetUnique(true)}); err != nil {
		t.Fatal(err)
	}
	recs := []adapters.Record{place("a", `{"name":"같은 집"}`), place("b", `{"name":"다른 집"}`)}
	if err := s.Write(t.Context(), "1", recs); err != nil {
		t.Fatal(err)
	}
	err := s.Write(t.Context(), "2", []adapters.Record{place("c", `{"name":"같은 집"}`), place("d", `{"name":"새 집"}`)})
	e := adapters.Classify(err)
	if e == nil || e.Kind != adapters.Permanent || !strings.Contains(err.Error(), "document c is refused: ") {
		t.Fatalf("got %v, want a permanent error that names document c", err)
	}
	if document(t, places, "d") == nil {
		t.Error("the good document beside it was not written")
	}
}

func TestIndexes(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	db := srv.Database()
	var warnings []string
	s := open(t, mongo.Options{URI: adapters.Secret(srv.URI()), Database: db, Warn: func(msg string) { warnings = append(warnings, msg) }})
	for range 3 {
		if err := s.Write(t.Context(), "1", []adapters.Record{place("a", `{"name":"집"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	specs, err := collection(t, srv.URI(), db, "place").Indexes().ListSpecifications(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, spec := range specs {
		names = append(names, spec.Name)
	}
	for _, want := range []string{"mentions.account_1", "lastSeen_-1"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no index %s in %v", want, names)
		}
	}
	// FerretDB has no 2dsphere index: one warning in the life of the sink, and the writes above went well.
	if !slices.Contains(names, "location_2dsphere") && (len(warnings) != 1 || !strings.Contains(warnings[0], "location")) {
		t.Errorf("warnings %q, want one about location", warnings)
	}
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	srv := mongotest.Start(t)
	s := open(t, mongo.Options{URI: adapters.Secret(srv.URI()), Database: srv.Database()})
	var recs []adapters.Record
	for i := range 101 {
		recs = append(recs, place(fmt.Sprint(i), `{"name":"집 %d"}`, i))
	}
	var meter adapters.Meter
	for range 2 { // the second time all of them exist
		if err := s.Write(adapters.WithMeter(t.Context(), &meter), "1", recs); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]int{"mongo": 6}, meter.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func FuzzDocument(f *testing.F) {
	for _, seed := range []string{nampo, `{}`, `[`, `{"a":[1,2.5,{"lastSeen":"2026-13-99"}]}`, `{"a":1,"a":2}`, "null", `{"takenAt":"0000-01-01T00:00:00Z"}`} {
		f.Add([]byte(seed))
	}
	s, err := mongo.Open(f.Context(), mongo.Options{URI: "mongodb://127.0.0.1:1/", Database: "sumbi"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { closeSink(f, s) })
	cancelled, cancel := context.WithCancel(f.Context())
	cancel()
	f.Fuzz(func(t *testing.T, data []byte) {
		err := s.Write(cancelled, "1", []adapters.Record{{Stream: "place", Key: "a", Data: data}})
		// Either the data can be written, which the cancelled context stops, or they are refused for good.
		if !errors.Is(err, context.Canceled) && adapters.Classify(err).Kind != adapters.Permanent {
			t.Errorf("got %v", err)
		}
	})
}

func ExampleOpen() {
	sink, err := mongo.Open(context.Background(), mongo.Options{
		URI:        "mongodb://localhost:27017/",
		Database:   "sumbi",
		Collection: func(string) string { return "places" },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sink.Close(context.Background())
	fmt.Println("open")
	// Output: open
}
