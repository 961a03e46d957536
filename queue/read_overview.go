package queue

import (
	"context"
	"time"
)

// Totals are what a state holds, from what can be counted quickly.
type Totals struct {
	Posts, Accounts, Mentions, Placed, Review, Places int
	Bytes                                             int64
}

// Totals counts what the state holds.
func (s *Store) Totals(ctx context.Context) (t Totals, err error) {
	err = one(ctx, s.read, `select
		(select count(*) from record) - (`+details(s)+`), (select count(*) from target), (select count(*) from mention),
		(select count(*) from mention where place is not null), (select count(*) from mention where state = 'review'), (select count(*) from place),
		`+sizeText.in(s), nil, &t.Posts, &t.Accounts, &t.Mentions, &t.Placed, &t.Review, &t.Places, &t.Bytes)
	return t, s.explain(err)
}

// Attention counts what a person may have to look at.
type Attention struct {
	DeadJobs, DeadQuestions int
	Gaps                    int       // lists and accounts of which something was not seen
	Gone, Private, Silent   int       // accounts
	Untold                  int       // troubles that nobody was told of,
	UntoldSince             time.Time // and since when
}

// Attention counts what a person may have to look at.
func (s *Store) Attention(ctx context.Context) (a Attention, err error) {
	err = one(ctx, s.read, `select
		(select count(*) from job where state = 'dead'), (select count(*) from question where state = 'dead'),
		(select count(*) from v_gaps where state <> 'walking'),
		(select count(*) from target where state = 'gone'), (select count(*) from target where state = 'private'),
		(select count(*) from target where state = 'ok' and silent_since is not null),
		(select count(*) from notice where told_at is null and gone_at is null), (select min(at) from notice where told_at is null and gone_at is null)`,
		nil, &a.DeadJobs, &a.DeadQuestions, &a.Gaps, &a.Gone, &a.Private, &a.Silent, &a.Untold, instant{&a.UntoldSince})
	return a, s.explain(err)
}

// Headway is how far a run is, from what can be counted quickly.
type Headway struct {
	Run       Run
	Lists     int // walks of the run
	ListsLeft int
	Waiting   int // questions of the pipeline that wait for a batch
	InBatch   int // questions in batches whose answers are not read yet
	Answered  int // answers read from the run's batches
	Batches   int // under way
	Matched   int // restaurants decided meanwhile
	Matching  int // restaurants of the pipeline still to be matched
	Outbox    int // documents of the pipeline still to be delivered
	Requests  int // of the run
}

// Headway reads how far a run is.
func (s *Store) Headway(ctx context.Context, r Run) (Headway, error) {
	h := Headway{Run: r}
	err := one(ctx, s.read, `select
		(select count(*) from walk where run = ?), (select count(*) from walk where run = ? and state = 'walking'),
		(select count(*) from question where pipeline = ? and state = 'waiting'),
		(select coalesce(sum(lines - answered - failed), 0) from batch where pipeline = ? and state not in ('done', 'refused')),
		(select coalesce(sum(answered), 0) from batch where run = ?),
		(select count(*) from batch where pipeline = ? and state not in ('done', 'refused')),
		coalesce((select matched from run where id = ?), 0),
		(select count(*) from mention where pipeline = ? and state = 'waiting'),
		(select count(*) from outbox where pipeline = ?),
		(select coalesce(sum(n), 0) from usage where run = ? and what = 'request')`,
		[]any{r.ID, r.ID, r.Pipeline, r.Pipeline, r.ID, r.Pipeline, r.ID, r.Pipeline, r.Pipeline, r.ID},
		&h.Lists, &h.ListsLeft, &h.Waiting, &h.InBatch, &h.Answered, &h.Batches, &h.Matched, &h.Matching, &h.Outbox, &h.Requests)
	return h, s.explain(err)
}

// RunSpending returns what a run has spent, and what is kept back for its batches.
func (s *Store) RunSpending(ctx context.Context, run int64) (x Spent, err error) {
	err = one(ctx, s.read, `select (select coalesce(sum(micro_usd), 0) from usage where run = ?),
		(select coalesce(sum(reserved), 0) from batch where state not in ('done', 'refused') and run = ?)`, []any{run, run}, &x.Booked, &x.Reserved)
	return x, s.explain(err)
}
