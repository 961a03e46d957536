package mongo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"sumbi/adapters"
	"sumbi/adapters/mongo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns a sink that is closed with the test. What it warns of goes to the test's log.
func open(t testing.TB, o mongo.Options) *mongo.Sink {
	t.Helper()
	if o.Warn == nil {
		o.Warn = func(msg string) { t.Log("warning:", msg) }
	}
	s, err := mongo.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSink(t, s) })
	return s
}

// collection reads what is stored past the sink.
func collection(t testing.TB, uri, database, name string) *driver.Collection {
	t.Helper()
	c, err := driver.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c.Database(database).Collection(name)
}

func document(t testing.TB, c *driver.Collection, key string) bson.M {
	t.Helper()
	var doc bson.M
	err := c.FindOne(t.Context(), bson.D{{Key: "_id", Value: key}}).Decode(&doc)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func place(key, format string, args ...any) adapters.Record {
	return adapters.Record{Stream: "place", Key: key, Data: json.RawMessage(fmt.Sprintf(format, args...))}
}

// cutter forwards connections to a server, and cuts the one on which the next update comes when it is told to.
type cutter struct {
	listener net.Listener
	server   string
	before   atomic.Bool // cut before the server sees the update
	after    atomic.Bool // cut when it has answered, so that the answer is lost
	wait     sync.WaitGroup
}

func newCutter(t testing.TB, server string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, server: server}
	c.wait.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			c.wait.Go(func() { c.forward(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.wait.Wait()
	})
	return c
}

func (c *cutter) uri() string { return "mongodb://" + c.listener.Addr().String() + "/" }

func (c *cutter) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.server)
	if err != nil {
		return
	}
	defer server.Close()
	var silent atomic.Bool
	var back sync.WaitGroup
	defer back.Wait()
	defer server.Close()
	back.Go(func() {
		defer client.Close()
		for {
			msg, err := message(server)
			if err != nil || silent.Load() {
				return
			}
			if _, err := client.Write(msg); err != nil {
				return
			}
		}
	})
	for {
		msg, err := message(client)
		if err != nil {
			return
		}
		if bytes.Contains(msg, []byte("\x02update\x00")) {
			if c.before.CompareAndSwap(true, false) {
				return
			}
			if c.after.CompareAndSwap(true, false) {
				silent.Store(true)
			}
		}
		if _, err := server.Write(msg); err != nil {
			return
		}
	}
}

// message reads one message of MongoDB's protocol: its length comes first.
func message(r io.Reader) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	msg := make([]byte, min(binary.LittleEndian.Uint32(head), 64<<20))
	copy(msg, head)
	_, err := io.ReadFull(r, msg[4:])
	return msg, err
}

func closeSink(t testing.TB, s *mongo.Sink) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
