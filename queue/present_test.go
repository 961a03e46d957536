package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sumbi/queue"
)

// TestRecordsOfATarget checks which records are a target's, and that their counters are told apart.
func TestRecordsOfATarget(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, walks := begin(t, s, "호두", "posts", "series")
	mine := append(put(t, s, walks[0], velogRecord("고루틴", day(1)), velogRecord("채널", day(2))), put(t, s, walks[1], velogRecord("채널", day(2)), velogRecord("셀렉트", day(3)))[1])
	put(t, s, walks[0], post("평양냉면", "을지로", 1)) // of another stream
	_, others := begin(t, s, "땅콩", "posts")
	other := put(t, s, others[0], velogRecord("남의 글", day(2)))[0]
	var ids []int64
	for i, r := range append(mine, other) {
		ids = append(ids, r.ID)
		within(t, s, func(tx *queue.Tx) error {
			if err := tx.CountDay(r.ID, "likes", "2025-03-01", int64(i)); err != nil {
				return err
			}
			return tx.Snap(r.ID, "views", day(4), int64(10+i))
		})
	}
	held, err := s.Records(t.Context(), "matzip", "호두", "velog_post")
	check(t, err)
	var keys []string
	for _, h := range held {
		keys = append(keys, h.Key)
	}
	same(t, "records", keys, []string{"셀렉트", "채널", "고루틴"})

	for _, what := range []string{"views", "likes"} {
		all, err := s.CountsOfRecords(t.Context(), []int64{ids[0], ids[2]}, what, "")
		check(t, err)
		got := map[int64]string{}
		for id, c := range all {
			for _, x := range c.Snapshots {
				got[id] += fmt.Sprint(x.N)
			}
			got[id] += fmt.Sprint(c.Daily)
		}
		want := map[string]map[int64]string{
			"views": {ids[0]: "10map[]", ids[2]: "12map[]"},
			"likes": {ids[0]: "map[2025-03-01:0]", ids[2]: "map[2025-03-01:2]"},
		}
		same(t, what, got, want[what])
	}
	none, err := s.CountsOfRecords(t.Context(), nil, "views", "")
	check(t, err)
	same(t, "of no record", len(none), 0)
}

// TestRecordsOfATargetAreFound checks that what is known of one user costs the same however many others there are: nothing goes
// through the records of all.
func TestRecordsOfATargetAreFound(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	s := fresh(t)
	const byID = "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)"
	tests := []struct {
		name  string
		texts int
		plan  []string // of each
		read  func() error
	}{
		{"records", 1, []string{"SEARCH w USING COVERING INDEX sqlite_autoindex_walk_1 (pipeline=? AND target=?)", "SEARCH l USING COVERING INDEX listing_walk (walk=?)", byID}, func() error {
			_, err := s.Records(t.Context(), "velog", "호두", "velog_post")
			return err
		}},
		{"counts", 2, []string{byID}, func() error {
			_, err := s.CountsOfRecords(t.Context(), []int64{1, 2}, "views", "2025-03-01")
			return err
		}},
	}
	for _, tt := range tests {
		texts, err := s.Texts(t.Context(), tt.read)
		check(t, err)
		if len(texts) != tt.texts {
			t.Errorf("%s: read by %q, want %d statements", tt.name, texts, tt.texts)
		}
		for _, text := range texts {
			plan, err := s.Rows(t.Context(), `explain query plan `+text, slices.Repeat([]any{"[1]"}, strings.Count(text, "?"))...)
			check(t, err)
			for _, want := range tt.plan {
				if got := strings.Join(plan, "\n"); !strings.Contains(got, want) {
					t.Errorf("%s: want %s\n%s\n%s", tt.name, want, text, got)
				}
			}
		}
	}
}
