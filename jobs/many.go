package jobs

import (
	"context"
	"strconv"
	"strings"

	"sumbi/queue"
)

// DropOne removes a job for good, or lets a dead question rest. id is as for Retry.
func DropOne(tx *queue.Tx, id string) error {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		return Drop(tx, n)
	}
	return tx.DropQuestion(id)
}

// Unable is something of many that could not be done, and why.
type Unable struct {
	ID  string
	Err error
}

// together is how many of many are done in one transaction.
const together = 100

// DoMany does f for every id, some together in one transaction. What cannot be done leaves the others as they are. It returns how
// many it has looked at, which is all of them unless ctx ends before, and which of those could not be done. err is an end for the
// state's sake.
func DoMany(ctx context.Context, s *queue.Store, ids []string, f func(tx *queue.Tx, id string) error) (looked int, unable []Unable, err error) {
	for looked < len(ids) && ctx.Err() == nil {
		part := ids[looked:min(looked+together, len(ids))]
		err := s.Tx(ctx, func(tx *queue.Tx) error {
			for _, id := range part {
				if err := f(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			looked += len(part)
			continue
		}
		for _, id := range part { // one of them stands in the way of the others
			if ctx.Err() != nil {
				return looked, unable, nil
			}
			if err := s.Tx(ctx, func(tx *queue.Tx) error { return f(tx, id) }); err != nil {
				if queue.Fatal(err) {
					return looked, unable, err
				}
				unable = append(unable, Unable{id, err})
			}
			looked++
		}
	}
	return looked, unable, nil
}

// About is what a job is about, as far as its key and its args tell.
type About struct {
	Pipeline, Target, List string // of a page
	Walk, Mention, Batch   int64
	Forms                  string // the pipeline whose waiting questions a batch is formed of
	Sink                   string // that is delivered to
}

// AboutJob says what a job is about. args may be empty: those of a job that has ended are not kept.
func AboutJob(kind, key, args string) (a About) {
	rest := func(prefix string) string {
		text, _ := strings.CutPrefix(key, prefix)
		return text
	}
	number := func(text string) int64 {
		n, _ := strconv.ParseInt(text, 10, 64) // 0: not told
		return n
	}
	j := queue.Job{Args: []byte(args)}
	switch queue.Kind(kind) {
	case queue.KindPage:
		if p, err := readArgs[pageArgs](j); err == nil {
			a.Walk = p.Walk
		}
		text := rest("page:")
		if i, k := strings.Index(text, ":"), strings.LastIndex(text, ":"); i >= 0 && k > i {
			a.Pipeline, a.Target, a.List = text[:i], text[i+1:k], text[k+1:]
		}
	case queue.KindMatch:
		a.Mention = number(rest("match:"))
	case queue.KindBatch:
		if text, ok := strings.CutPrefix(key, formKey("")); ok {
			a.Forms = text
		} else {
			a.Batch = number(rest("batch:"))
		}
	case queue.KindDeliver:
		a.Sink, _, _ = strings.Cut(rest("deliver:"), ":")
	}
	return a
}
