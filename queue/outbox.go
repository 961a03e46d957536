package queue

import (
	"context"
	"database/sql"
)

// Out is one thing that a sink has yet to be told.
type Out struct {
	Sink, Stream, Key, Pipeline string
	Rev                         int64
}

// AddSink makes what a pipeline brings go to a sink from now on. One that is new, or was another server before (identity), is
// told of every record of the streams, or, where none is named, of every place there is; one that was away is told of what it
// has missed. fresh says that it is new or was another server.
func (tx *Tx) AddSink(pipeline, sink, identity string, streams ...string) (fresh bool, err error) {
	n, err := tx.exec(`insert into sink (pipeline, sink, identity) values (?, ?, ?)
		on conflict (pipeline, sink) do update set identity = excluded.identity where sink.identity <> excluded.identity`, pipeline, sink, identity)
	if err != nil {
		return false, err
	}
	fresh = n > 0
	if n > 0 && len(streams) == 0 {
		if _, err := tx.exec(`insert into outbox (sink, stream, key, pipeline, at) select ?, 'places', id, ?, ? from place where true on conflict do nothing`, sink, pipeline, stamp(tx.now)); err != nil {
			return fresh, err
		}
	}
	for _, stream := range streams {
		if n == 0 {
			break
		}
		if _, err := tx.exec(`insert into outbox (sink, stream, key, pipeline, at) select ?, stream, key, pipeline, ? from record where pipeline = ? and stream = ? on conflict do nothing`, sink, stamp(tx.now), pipeline, stream); err != nil {
			return fresh, err
		}
	}
	if _, err := tx.exec(`update sink set active = 1 where pipeline = ? and sink = ?`, pipeline, sink); err != nil {
		return fresh, err
	}
	var some bool
	if err := tx.one(`select exists (select 1 from outbox where sink = ?)`, []any{sink}, &some); err != nil || !some {
		return fresh, err
	}
	return fresh, tx.kick(sink, pipeline)
}

// KeepSinks lets the pipeline's sinks rest that are not among these. What they must be told is kept for their return.
func (tx *Tx) KeepSinks(pipeline string, sinks map[string]string) error {
	known, err := tx.sinks(pipeline)
	if err != nil {
		return err
	}
	for _, s := range known {
		if _, keep := sinks[s]; keep {
			continue
		}
		if _, err := tx.exec(`update sink set active = 0 where pipeline = ? and sink = ?`, pipeline, s); err != nil {
			return err
		}
		ids, err := list(tx.ctx, tx.tx, `select id from job where key = ? and taken_at is null`, []any{DeliverKey(s, pipeline)}, func(r *sql.Rows) (id int64, err error) {
			err = r.Scan(&id)
			return id, err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := tx.Drop(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) sinks(pipeline string) ([]string, error) {
	return list(tx.ctx, tx.tx, `select sink from sink where pipeline = ? order by sink`, []any{pipeline}, scanText)
}

// DeliverKey is the key of the job that empties a sink's outbox.
func DeliverKey(sink, pipeline string) string { return "deliver:" + sink + ":" + pipeline }

// Deliver notes that a sink must be told of a record again. One that rests is told when it is back.
func (tx *Tx) Deliver(sink, stream, key, pipeline string) error {
	_, err := tx.exec(`insert into outbox (sink, stream, key, pipeline, at) values (?, ?, ?, ?, ?)
		on conflict (sink, stream, key) do update set rev = outbox.rev + 1, pipeline = excluded.pipeline`, sink, stream, key, pipeline, stamp(tx.now))
	if err != nil {
		return err
	}
	var rests bool
	if err := tx.one(`select exists (select 1 from sink where pipeline = ? and sink = ? and active = 0)`, []any{pipeline, sink}, &rests); err != nil || rests {
		return err
	}
	return tx.kick(sink, pipeline)
}

// DeliverAll notes that every sink of a pipeline must be told of a record again.
func (tx *Tx) DeliverAll(stream, key, pipeline string) error {
	all, err := tx.sinks(pipeline)
	if err != nil {
		return err
	}
	for _, sink := range all {
		if err := tx.Deliver(sink, stream, key, pipeline); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) kick(sink, pipeline string) error {
	_, err := tx.Add(Job{Pipeline: pipeline, Lane: sink, Kind: KindDeliver, Key: DeliverKey(sink, pipeline)})
	return err
}

// Outbox returns up to n of what a sink has yet to be told, oldest first.
func (s *Store) Outbox(ctx context.Context, sink string, n int) ([]Out, error) {
	outs, err := list(ctx, s.read, `select sink, stream, key, pipeline, rev from outbox where sink = ? order by at, key limit ?`, []any{sink, n}, func(r *sql.Rows) (Out, error) {
		var o Out
		err := r.Scan(&o.Sink, &o.Stream, &o.Key, &o.Pipeline, &o.Rev)
		return o, err
	})
	return outs, s.explain(err)
}

// Delivered takes out of the outbox what a sink was told, unless it has changed since. It returns how much is left.
func (tx *Tx) Delivered(sink string, outs []Out) (left int, err error) {
	for _, o := range outs {
		if _, err := tx.exec(`delete from outbox where sink = ? and stream = ? and key = ? and rev = ?`, o.Sink, o.Stream, o.Key, o.Rev); err != nil {
			return 0, err
		}
	}
	err = tx.one(`select count(*) from outbox where sink = ?`, []any{sink}, &left)
	return left, err
}
