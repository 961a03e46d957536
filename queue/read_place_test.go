package queue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sumbi/adapters"
	"sumbi/queue"
)

// TestPlaceStories pages through the mentions of a place, newest post first, each once.
func TestPlaceStories(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var want []string
	for d := 1; d <= 7; d++ {
		_, ids := mentioned(t, s, "을지로골목", fmt.Sprint("p", d), (d+1)/2, "을밀대", "우래옥")
		decide(t, s, ids[0], place("naver:1", "을밀대"))
		want = append([]string{fmt.Sprint("p", d)}, want...)
	}
	label(t, s, 1, place("naver:1", "을밀대"))
	for _, n := range []int{1, 2, 3, 100} {
		var got []string
		for before := (queue.MentionsBefore{}); ; {
			ms, err := s.PlaceStories(t.Context(), "naver:1", before, n)
			check(t, err)
			if len(ms) == 0 {
				break
			}
			for _, m := range ms {
				got = append(got, m.Record.Key)
				before = queue.MentionsBefore{At: m.Record.Time, ID: m.ID}
				wantBy := ""
				if m.ID == 1 {
					wantBy = "사장님"
				}
				if m.Author != wantBy || m.Question != "q-"+m.Record.Key || m.Entry != 0 || m.Name != "을밀대" || m.Decided.IsZero() || m.Labelled.IsZero() != (wantBy == "") {
					t.Errorf("story %+v", m)
				}
			}
		}
		same(t, fmt.Sprint(n, " at a time"), got, want)
	}
	f, err := s.PlaceFacts(t.Context(), "naver:1")
	check(t, err)
	if f.Name != "을밀대" || f.Mentions != 7 || f.Accounts != 1 || !f.First.Equal(day(1)) || !f.Last.Equal(day(4)) || len(f.Entries) != 1 || f.Entries[0].Mentions != 7 {
		t.Errorf("facts %+v", f)
	}
	if _, err := s.PlaceFacts(t.Context(), "naver:2"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("a place that is not there: %v", err)
	}
}

// TestAlike finds other places that have something in common, those with most first.
func TestAlike(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	_, ids := mentioned(t, s, "을지로골목", "p1", 1, "하나", "둘", "셋", "넷", "다섯")
	entry := func(id, name, spot, phone string) *queue.Place {
		p := place(id, name)
		p.Compact, p.Spot, p.Phone = name, spot, phone
		return p
	}
	for i, p := range []*queue.Place{
		entry("n1", "을밀대", "숭문길24", "02-717-1922"), entry("n2", "을밀대", "숭문길24", ""), entry("n3", "을밀대", "다른길1", ""), entry("n4", "냉면집", "", "02-717-1922"), entry("n5", "남", "남의길1", "02-1"),
	} {
		decide(t, s, ids[i], p)
	}
	all, err := s.Alike(t.Context(), "n1")
	check(t, err)
	var got []string
	for _, a := range all {
		got = append(got, fmt.Sprint(a.ID, " ", a.PlaceLine.Name, " ", a.Mentions, " ", a.Name, a.Spot, a.Phone))
	}
	same(t, "alike", got, []string{"n2 을밀대 1 true true false", "n3 을밀대 1 true false false", "n4 냉면집 1 false false true"})
	if all, err = s.Alike(t.Context(), "n5"); err != nil || len(all) != 0 {
		t.Errorf("nothing in common: %+v %v", all, err)
	}
}

// TestRecordStory wants everything that led to a post, and what was asked about it.
func TestRecordStory(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	s.Now = func() time.Time { return day(10) }
	run, ws := begin(t, s, "을지로골목", "posts", "reels")
	within(t, s, func(tx *queue.Tx) error { return tx.StartRun(run.ID) })
	rec := post("p1", "을밀대", 1)
	rec.Raw = json.RawMessage(`{"pk":"p1","caption":{"text":"을밀대"}}`)
	packer := &queue.Packer{}
	packed, err := packer.Pack(t.Context(), s, []adapters.Record{rec})
	check(t, err)
	var stored []queue.Stored
	within(t, s, func(tx *queue.Tx) error {
		if stored, err = tx.PutPacked(ws[0], packed); err != nil {
			return err
		}
		_, err := tx.PutPacked(ws[1], packed)
		return err
	})
	rs, err := s.RecordStory(t.Context(), "post", "p1")
	check(t, err)
	if rs.Question != nil || rs.Skipped || rs.Target != "을지로골목" || !rs.Fetched.Equal(day(10)) || strings.Join(rs.Lists, " ") != "posts reels" {
		t.Errorf("before it is asked about: %+v", rs)
	}
	raw, err := packer.Unpack(t.Context(), s, rs.RawRecord)
	if err != nil || string(raw) != string(rec.Raw) {
		t.Errorf("raw item %s, %v", raw, err)
	}
	if r := rs.Requests[1]; r.List != "reels" || r.First != run.ID || r.Last != run.ID || !r.LastAt.Equal(day(10)) || r.State != "walking" || r.Pipeline != "matzip" {
		t.Errorf("request %+v", r)
	}
	within(t, s, func(tx *queue.Tx) error {
		if _, _, err := tx.Ask("matzip", stored[0].ID, "v1-abc", "을밀대"); err != nil {
			return err
		}
		b, err := tx.NewBatch("matzip", "gpt-5-mini")
		if err != nil {
			return err
		}
		if err := tx.Choose(&b, []queue.Question{{ID: "v1-abc"}}); err != nil {
			return err
		}
		b.State, b.UpstreamID, b.Run = queue.BatchDone, "batch_77", run.ID
		if err := tx.SaveBatch(b); err != nil {
			return err
		}
		if _, err := tx.Answer(b.ID, adapters.Answer{ID: "v1-abc", Body: json.RawMessage(`{"restaurants":[{"name":"을밀대"}]}`)}); err != nil {
			return err
		}
		_, err = tx.Extracted(stored[0], "v1-abc", []int{0})
		return err
	})
	rs, err = s.RecordStory(t.Context(), "post", "p1")
	check(t, err)
	q := rs.Question
	if q == nil || q.Key != "v1-abc" || q.State != "answered" || q.Line != 1 || q.Batch != 1 || q.Model != "gpt-5-mini" || q.Upstream != "batch_77" || q.Records != 1 || q.Body != "" || !strings.Contains(string(q.Answer), "을밀대") || q.Run != run.ID {
		t.Errorf("question %+v", q)
	}
	ms, err := s.RecordMentions(t.Context(), rs.ID)
	if err != nil || len(ms) != 1 || ms[0].Batch != 1 || ms[0].Line != 1 || ms[0].Name != "을밀대" {
		t.Errorf("mentions %+v, %v", ms, err)
	}
	within(t, s, func(tx *queue.Tx) error { return tx.Skip(rs.ID) })
	if rs, err = s.RecordStory(t.Context(), "post", "p1"); err != nil || !rs.Skipped || rs.Question != nil {
		t.Errorf("with nothing to ask: %+v, %v", rs, err)
	}
	if _, err := s.RecordStory(t.Context(), "post", "p2"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("a post that is not there: %v", err)
	}
}
