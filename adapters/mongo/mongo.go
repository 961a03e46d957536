// Package mongo is MongoDB as a sink: each record becomes one document whose _id is the record's key.
package mongo

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"sumbi/adapters"
)

const (
	upstream = "mongo"

	// FerretDB hangs on an update of about 100 existing documents, and smaller bulks cost MongoDB nothing that counts.
	bulkModels = 50

	bulkTimeout = 30 * time.Second // of one bulk or one index
)

// Options says where records go.
type Options struct {
	URI        adapters.Secret            // mongodb:// or mongodb+srv://
	Database   string                     // required
	Collection func(stream string) string // of a stream's records; nil: the stream's own name
	Indexes    map[string][]string        // the fields to be indexed in collections that hold no places
	Patience   time.Duration              // until a server that takes writes is found; 0 means 10 s
	Warn       func(msg string)           // hears of an index that the server refused; may be nil
}

// Sink writes records to MongoDB. Its methods may be called from several goroutines, but two writers of one document can
// overtake each other.
type Sink struct {
	o       Options
	cleared atomic.Pointer[error] // why the driver threw its connections away last

	mu      sync.Mutex
	client  *mongo.Client
	indexed map[string]bool // collections whose indexes are settled
}

var _ adapters.Sink = (*Sink)(nil)

// Open checks the options and returns a sink. It does not connect: the first Write does, so that a server that is down
// stops nothing. The error is an *adapters.Error of kind NeedsHuman, without the password.
func Open(_ context.Context, o Options) (*Sink, error) {
	if err := checkURI(o.URI.Reveal()); err != nil {
		return nil, err
	}
	if o.Database == "" {
		return nil, needsHuman(adapters.ReasonPath, "the name of the database is empty: set [mongo] database")
	}
	if o.Collection == nil {
		o.Collection = func(stream string) string { return stream }
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	return &Sink{o: o, indexed: map[string]bool{}}, nil
}

// Write upserts the records by key, and deletes those without data. Of a key that comes twice the last record counts. Fields
// of a document that the record does not know are left alone. The error is an *adapters.Error: Temporary while no server
// answers, NeedsHuman when it does not let us in, Permanent with a *Refused inside when it refuses documents (all others
// are then written), or the error of ctx.
func (s *Sink) Write(ctx context.Context, _ string, recs []adapters.Record) error {
	bulks, refused := s.plan(recs)
	for _, b := range bulks {
		again, err := s.bulk(ctx, b)
		if err != nil {
			return err
		}
		refused.add(again)
		if err := s.index(ctx, b.collection); err != nil {
			return err
		}
	}
	if len(refused.keys) > 0 {
		return &adapters.Error{Kind: adapters.Permanent, Reason: adapters.ReasonInvalid, Upstream: upstream, Err: refused}
	}
	return nil
}

// Ping asks whether a server that takes writes can be reached and lets us in. Errors are those of Write.
func (s *Sink) Ping(ctx context.Context) error {
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	adapters.CountCall(ctx, upstream)
	// A ping needs no log-in; counting does.
	n := bson.D{{Key: "count", Value: s.o.Collection("place")}, {Key: "query", Value: bson.D{{Key: "_id", Value: ""}}}}
	return s.classify(ctx, db.RunCommand(ctx, n).Err())
}

// Close ends the connections. The sink can not be used afterwards.
func (s *Sink) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		return nil
	}
	err := s.client.Disconnect(ctx)
	if errors.Is(err, mongo.ErrClientDisconnected) {
		return nil
	}
	return s.classify(ctx, err)
}

// bulk is what goes to one collection in one call; keys[i] belongs to models[i].
type bulk struct {
	collection string
	keys       []string
	models     []mongo.WriteModel
}

// plan sorts the records into bulks of one collection each and converts them.
func (s *Sink) plan(recs []adapters.Record) ([]bulk, *Refused) {
	type place struct{ collection, key string }
	last := map[place]int{}
	for i, r := range recs {
		last[place{s.o.Collection(r.Stream), r.Key}] = i
	}
	var bulks []bulk
	open := map[string]int{} // collection → its last bulk
	refused := &Refused{}
	for i, r := range recs {
		collection := s.o.Collection(r.Stream)
		if last[place{collection, r.Key}] != i {
			continue
		}
		m, err := model(r)
		if err != nil {
			refused.add(&Refused{keys: []string{r.Key}, why: err.Error()})
			continue
		}
		n, ok := open[collection]
		if !ok || len(bulks[n].models) == bulkModels {
			n = len(bulks)
			bulks = append(bulks, bulk{collection: collection})
			open[collection] = n
		}
		bulks[n].keys = append(bulks[n].keys, r.Key)
		bulks[n].models = append(bulks[n].models, m)
	}
	return bulks, refused
}

// bulk writes b and returns the documents that were refused while the others were written.
func (s *Sink) bulk(ctx context.Context, b bulk) (*Refused, error) {
	db, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	all := &Refused{}
	for len(b.models) > 0 {
		adapters.CountCall(ctx, upstream)
		bounded, cancel := context.WithTimeout(ctx, bulkTimeout)
		_, err := db.Collection(b.collection).BulkWrite(bounded, b.models, options.BulkWrite().SetOrdered(false))
		cancel()
		refused := refusedOf(err, b)
		if refused == nil {
			return all, s.classify(ctx, err)
		}
		all.add(refused)
		// FerretDB leaves the rest unwritten; MongoDB has written it, and writes it again without harm.
		b = b.without(refused.keys)
	}
	return all, nil
}

func (b bulk) without(keys []string) bulk {
	rest := bulk{collection: b.collection}
	for i, key := range b.keys {
		if !slices.Contains(keys, key) {
			rest.keys = append(rest.keys, key)
			rest.models = append(rest.models, b.models[i])
		}
	}
	return rest
}

// index makes the indexes of a collection, once in the life of the sink. Only an error of ctx is returned: without an index
// a server is slower, not wrong.
func (s *Sink) index(ctx context.Context, collection string) error {
	s.mu.Lock()
	done := s.indexed[collection]
	s.mu.Unlock()
	if done {
		return nil
	}
	db, err := s.database(ctx)
	if err != nil {
		return err
	}
	for _, keys := range s.indexes(collection) {
		bounded, cancel := context.WithTimeout(ctx, bulkTimeout)
		_, err := db.Collection(collection).Indexes().CreateOne(bounded, mongo.IndexModel{Keys: keys})
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case unreachable(err):
			return nil // the next Write tries again
		case err != nil:
			s.o.Warn("the index on " + keys[0].Key + " of collection " + collection + " was refused, queries by it will be slow: " + s.scrub(err))
		}
	}
	s.mu.Lock()
	s.indexed[collection] = true
	s.mu.Unlock()
	return nil
}

// indexes are those of a collection.
func (s *Sink) indexes(collection string) (all []bson.D) {
	fields, other := s.o.Indexes[collection]
	for _, f := range fields {
		all = append(all, bson.D{{Key: f, Value: 1}})
	}
	if other {
		return all
	}
	return []bson.D{
		{{Key: "location", Value: "2dsphere"}},
		{{Key: "mentions.account", Value: 1}},
		{{Key: "lastSeen", Value: -1}},
	}
}

// database connects on first use. A mongodb+srv address is looked up here, not in Open.
func (s *Sink) database(ctx context.Context) (*mongo.Database, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		o := options.Client().ApplyURI(s.o.URI.Reveal()).
			SetAppName("sumbi").
			SetServerSelectionTimeout(s.o.Patience).
			SetConnectTimeout(s.o.Patience).
			SetMaxPoolSize(4).
			SetPoolMonitor(&event.PoolMonitor{Event: s.watch})
		if wc := o.WriteConcern; wc != nil && !wc.Acknowledged() {
			o.SetWriteConcern(writeconcern.Majority()) // an unacknowledged write may be lost without a word
		}
		client, err := mongo.Connect(o)
		if err != nil {
			return nil, s.classify(ctx, err)
		}
		s.client = client
	}
	return s.client.Database(s.o.Database), nil
}

// watch remembers why the driver has thrown its connections away: whoever waited for one is told only that it did.
func (s *Sink) watch(e *event.PoolEvent) {
	if e.Type == event.ConnectionPoolCleared && e.Error != nil {
		s.cleared.Store(&e.Error)
	}
}

// model turns a record into what is to be done with its document.
func model(r adapters.Record) (mongo.WriteModel, error) {
	// The filter is exactly this on purpose: nothing else is looked up by FerretDB's index.
	filter := bson.D{{Key: "_id", Value: r.Key}}
	if r.Key == "" {
		return nil, errors.New("the record has no key")
	}
	if data := bytes.TrimSpace(r.Data); len(data) == 0 || string(data) == "null" {
		return mongo.NewDeleteOneModel().SetFilter(filter), nil
	}
	doc, err := document(r.Data)
	if err != nil {
		return nil, err
	}
	var unset bson.D
	for _, name := range optional() {
		if !slices.ContainsFunc(doc, func(e bson.E) bool { return e.Key == name }) {
			unset = append(unset, bson.E{Key: name, Value: ""})
		}
	}
	var update bson.D
	if len(doc) > 0 {
		update = append(update, bson.E{Key: "$set", Value: doc})
	}
	if len(unset) > 0 {
		update = append(update, bson.E{Key: "$unset", Value: unset})
	}
	return mongo.NewUpdateOneModel().SetFilter(filter).SetUpdate(update).SetUpsert(true), nil
}

// optional are the fields that a place has only while they are known.
func optional() []string {
	return []string{"link", "phone", "location", "address", "roadAddress", "category", "finder", "query", "sources"}
}
