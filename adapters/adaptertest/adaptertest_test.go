package adaptertest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sumbi/adapters"
	"sumbi/adapters/adaptertest"
	"sumbi/adapters/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// orders is the smallest source there can be.
type orders struct{ c *rest.Client }

func (o orders) Fetch(ctx context.Context, q adapters.Query) (adapters.Page, error) {
	var got struct {
		Next   string
		Orders []string
	}
	if _, err := o.c.GetJSON(ctx, q.List, url.Values{"after": {string(q.Cursor)}}, &got); err != nil {
		return adapters.Page{}, err
	}
	page := adapters.Page{Next: adapters.Cursor(got.Next)}
	for i, id := range got.Orders {
		r := adapters.Record{Stream: "order", Key: id, Time: time.Unix(int64(i), 0), Data: []byte(`{}`)}
		page.Records, page.Newest = append(page.Records, r), r.Time
	}
	return page, nil
}

func TestSource(t *testing.T) {
	t.Parallel()
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("after") == "" {
			fmt.Fprint(w, `{"next":"둘째","orders":["주문 1","주문 2"]}`)
			return
		}
		fmt.Fprint(w, `{"orders":["주문 3"]}`)
	})
	adaptertest.Source(t, adaptertest.SourceOptions{
		Upstream: upstream,
		Open: func(o rest.Options) adapters.Source {
			o.Upstream = "market"
			o.Limits = []*rest.Limit{rest.NewLimit(rest.LimitOptions{Name: "market/1", Header: http.Header{"X-Key": {"비밀번호 12345678"}}})}
			return orders{rest.New(o)}
		},
		Query:   adapters.Query{List: "orders"},
		Keys:    []string{"주문 1", "주문 2", "주문 3"},
		Secrets: []string{"12345678"},
	})
}

// shelf is a sink in memory that can be told to break.
type shelf struct {
	stored map[string]string
	left   int // records until it breaks; below 0 never
}

func (s *shelf) Write(ctx context.Context, _ string, recs []adapters.Record) error {
	for _, r := range recs {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.left == 0 {
			s.left = -1
			return errors.New("the shelf broke")
		}
		s.left = max(-1, s.left-1)
		if r.Data == nil {
			delete(s.stored, r.Stream+"/"+r.Key)
			continue
		}
		s.stored[r.Stream+"/"+r.Key] = string(r.Data)
	}
	return nil
}

func TestSink(t *testing.T) {
	t.Parallel()
	adaptertest.Sink(t, adaptertest.SinkOptions{
		Open: func(*testing.T) adapters.Sink { return &shelf{stored: map[string]string{}, left: -1} },
		Stored: func(_ *testing.T, s adapters.Sink) map[string]string {
			return maps.Clone(s.(*shelf).stored)
		},
		Records: []adapters.Record{
			{Stream: "place", Key: "1", Data: []byte(`{"name":"을지면옥"}`)},
			{Stream: "place", Key: "2", Data: []byte(`{"name":"우래옥"}`)},
			{Stream: "post", Key: "1", Data: []byte(`{"caption":"평양냉면"}`)},
		},
		Break: func(_ *testing.T, s adapters.Sink, n int) { s.(*shelf).left = n },
	})
}
