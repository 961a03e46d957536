package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
)

// SinkOptions describe a sink under test. Open, Stored and Records are required.
type SinkOptions struct {
	// Open returns a sink that holds nothing yet; each subtest opens its own.
	Open func(t *testing.T) adapters.Sink
	// Stored returns what the sink holds, by a key of the test's choice and in a form that can be compared as text.
	// It leaves out what may differ between two equal writes, such as times of writing.
	Stored func(t *testing.T, s adapters.Sink) map[string]string
	// Records are at least three, all different by stream and key, none deleted.
	Records []adapters.Record
	// Break, if given, makes the next Write of s fail after about n records. The write after it works again.
	Break func(t *testing.T, s adapters.Sink, n int)
}

// Sink tests the contract of a sink: a batch may come twice, in any order, after a part of it, and as a deletion.
func Sink(t *testing.T, o SinkOptions) {
	t.Helper()
	if len(o.Records) < 3 {
		t.Fatalf("the contract needs three records, not %d", len(o.Records))
	}
	all, half := o.Records, len(o.Records)/2
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	older := slices.Clone(all) // the same keys with another's data
	for i := range older {
		older[i].Data = all[(i+1)%len(all)].Data
	}
	gone := adapters.Record{Stream: all[0].Stream, Key: all[0].Key}

	once := o.after(t, all)
	if len(once) < len(all) {
		t.Fatalf("%d records were written, %d are stored", len(all), len(once))
	}
	cases := []struct {
		name   string
		writes [][]adapters.Record
		want   map[string]string
	}{
		{"twice", [][]adapters.Record{all, all}, once},
		{"another order", [][]adapters.Record{reversed}, once},
		{"one by one", each(reversed), once},
		{"a part, then the whole", [][]adapters.Record{all[:half], all}, once},
		{"the end, then the whole", [][]adapters.Record{all[half:], all}, once},
		{"nothing", [][]adapters.Record{all, nil}, once},
		{"newer data", [][]adapters.Record{older, all}, once},
		{"delete", [][]adapters.Record{all, {gone}}, o.after(t, all[1:])},
		{"delete twice", [][]adapters.Record{all, {gone}, {gone}}, o.after(t, all[1:])},
		{"delete what is not there", [][]adapters.Record{{gone}, all[1:]}, o.after(t, all[1:])},
		{"delete beside writing", [][]adapters.Record{all, append([]adapters.Record{gone}, all[1:]...)}, o.after(t, all[1:])},
		{"write after delete", [][]adapters.Record{all, {gone}, all}, once},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, o.after(t, c.writes...)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		s := o.Open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		// A sink that needs no waiting may still write; one that fails must recover.
		if err := s.Write(ctx, "batch", all); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		o.converges(t, s, once)
	})
	if o.Break == nil {
		return
	}
	for n := range len(all) {
		t.Run(fmt.Sprintf("broken after %d", n), func(t *testing.T) {
			s := o.Open(t)
			o.Break(t, s, n)
			if err := s.Write(t.Context(), "batch", all); err == nil {
				t.Error("a write that broke off gave no error")
			}
			o.converges(t, s, once)
		})
	}
}

// after returns what a new sink holds after some writes.
func (o SinkOptions) after(t *testing.T, writes ...[]adapters.Record) map[string]string {
	t.Helper()
	s := o.Open(t)
	for i, recs := range writes {
		if err := s.Write(t.Context(), fmt.Sprintf("batch %d", i), slices.Clone(recs)); err != nil {
			t.Fatalf("write %d: %v", i+1, err)
		}
	}
	return o.Stored(t, s)
}

func (o SinkOptions) converges(t *testing.T, s adapters.Sink, want map[string]string) {
	t.Helper()
	if err := s.Write(t.Context(), "batch", o.Records); err != nil {
		t.Fatalf("the batch again: %v", err)
	}
	if diff := cmp.Diff(want, o.Stored(t, s)); diff != "" {
		t.Errorf("stored after the batch came again (-want +got):\n%s", diff)
	}
}

func each(recs []adapters.Record) [][]adapters.Record {
	var one [][]adapters.Record
	for _, r := range recs {
		one = append(one, []adapters.Record{r})
	}
	return one
}
