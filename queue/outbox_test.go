package queue_test

import (
	"testing"

	"sumbi/queue"
)

func deliver(t *testing.T, s *queue.Store, pipeline string, keys ...string) {
	t.Helper()
	within(t, s, func(tx *queue.Tx) error {
		for _, k := range keys {
			if err := tx.Deliver("mongo", "places", k, pipeline); err != nil {
				return err
			}
		}
		return nil
	})
}

func outbox(t *testing.T, s *queue.Store, n int) []queue.Out {
	t.Helper()
	outs, err := s.Outbox(t.Context(), "mongo", n)
	check(t, err)
	return outs
}

// TestOutboxRev checks that what changes while it is being delivered is delivered once more.
func TestOutboxRev(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	deliver(t, s, "matzip", "naver:1", "naver:2", "naver:3")
	outs := outbox(t, s, 2)
	same(t, "outbox", outs, []queue.Out{{"mongo", "places", "naver:1", "matzip", 1}, {"mongo", "places", "naver:2", "matzip", 1}})
	deliver(t, s, "matzip", "naver:2")
	within(t, s, func(tx *queue.Tx) error {
		left, err := tx.Delivered("mongo", outs)
		if left != 2 {
			t.Errorf("%d left, want 2", left)
		}
		return err
	})
	rows(t, s, told, "mongo|naver:2|2", "mongo|naver:3|1")
	within(t, s, func(tx *queue.Tx) error {
		left, err := tx.Delivered("mongo", []queue.Out{{"mongo", "places", "naver:2", "matzip", 2}, {"mongo", "places", "naver:3", "matzip", 1}})
		if left != 0 {
			t.Errorf("%d left", left)
		}
		return err
	})
	rows(t, s, told)
	rows(t, s, `select lane, kind, key from job`, "mongo|deliver|deliver:mongo:matzip")
}

func TestSinks(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대", "우래옥")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	decide(t, s, ids[1], place("naver:2", "우래옥"))
	rows(t, s, told)
	rows(t, s, `select key from job`)

	// A sink that is new is told of every place there is, once.
	sink(t, s, "mongo")
	rows(t, s, told, "mongo|naver:1|1", "mongo|naver:2|1")
	rows(t, s, `select key from job`, "deliver:mongo:matzip")
	within(t, s, func(tx *queue.Tx) error {
		_, err := tx.Delivered("mongo", outbox(t, s, 9))
		return err
	})
	sink(t, s, "mongo", "파일")
	rows(t, s, told, "파일|naver:1|1", "파일|naver:2|1")

	within(t, s, func(tx *queue.Tx) error { return addSink(tx, "다른 일", "파일", "") })
	within(t, s, func(tx *queue.Tx) error { return tx.KeepSinks("matzip", map[string]string{"mongo": ""}) })
	rows(t, s, `select pipeline, sink, active from sink order by 1, 2`, "matzip|mongo|1", "matzip|파일|0", "다른 일|파일|1")
	rows(t, s, `select key from job order by key`, "deliver:mongo:matzip", "deliver:파일:다른 일")

	// A sink that rests is told of what it has missed when it is back, also of what has gone.
	check(t, s.Exec(t.Context(), `delete from outbox`))
	within(t, s, func(tx *queue.Tx) error { return tx.KeepSinks("matzip", nil) })
	decide(t, s, ids[0], nil)
	rows(t, s, told, "mongo|naver:1|1", "파일|naver:1|1")
	rows(t, s, `select key from job where pipeline = 'matzip'`)
	sink(t, s, "mongo")
	rows(t, s, `select key from job where pipeline = 'matzip'`, "deliver:mongo:matzip")
	rows(t, s, told, "mongo|naver:1|1", "파일|naver:1|1")
}

// TestSinkOfAnotherServer checks that a sink that has become another server is told of everything, and only then.
func TestSinkOfAnotherServer(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "을밀대")
	decide(t, s, ids[0], place("naver:1", "을밀대"))
	for _, tt := range []struct {
		server string
		want   []string
	}{
		{"하나", []string{"mongo|naver:1|1"}},
		{"하나", nil},
		{"둘", []string{"mongo|naver:1|1"}},
	} {
		check(t, s.Exec(t.Context(), `delete from outbox`))
		within(t, s, func(tx *queue.Tx) error { return addSink(tx, "matzip", "mongo", tt.server) })
		rows(t, s, told, tt.want...)
	}
}

// TestOutboxOfTwoPipelines checks that a change belongs to the pipeline that made it last, so that it is delivered even
// when the other one has gone.
func TestOutboxOfTwoPipelines(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	within(t, s, func(tx *queue.Tx) error { return addSink(tx, "옛 일", "mongo", "") })
	deliver(t, s, "옛 일", "naver:1")
	deliver(t, s, "matzip", "naver:1")
	within(t, s, func(tx *queue.Tx) error { return tx.KeepSinks("옛 일", nil) })
	same(t, "outbox", outbox(t, s, 9), []queue.Out{{"mongo", "places", "naver:1", "matzip", 2}})
}

func addSink(tx *queue.Tx, pipeline, sink, identity string) error {
	_, err := tx.AddSink(pipeline, sink, identity)
	return err
}
