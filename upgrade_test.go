package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"sumbi/sim"
)

// TestUpgradeGoesOn checks that this program ends the runs that earlier versions were killed in, over the same world, as if
// nothing had been: nothing is lost, paid twice or chosen differently.
func TestUpgradeGoesOn(t *testing.T) {
	fileOnly(t)
	t.Parallel()
	o := sim.Options{Seed: 11, Accounts: 2, Posts: 20}
	fresh := newWorld(t, o, "")
	fresh.mustRun("run", "matzip")
	want := fresh.places()
	for _, name := range []string{"schema1-done", "schema1-crawl", "schema1-match", "schema2-done", "schema2-crawl", "schema2-match", "schema3-done", "schema3-crawl", "schema3-match", "schema4-done", "schema4-crawl", "schema4-match"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o, "")
			w.unpack(name)
			out := w.mustRun("run", "matzip")
			w.grade()
			w.paidTwice()
			// The scores are of the weights that decided, and those change.
			scores := gocmp.FilterPath(func(p gocmp.Path) bool { return p.Last().String() == `["score"]` }, gocmp.Ignore())
			if diff := gocmp.Diff(want, w.places(), scores); diff != "" {
				t.Errorf("places (-fresh +upgraded):\n%s", diff)
			}
			if lines := w.Stats().Lines; (lines > 0) != strings.HasSuffix(name, "crawl") {
				t.Errorf("%d captions were asked about\n%s", lines, out)
			}
			if free := w.mustRun("status"); !strings.Contains(free, "42 posts of 2 accounts") {
				t.Errorf("status:\n%s", free)
			}
		})
	}
}

// unpack makes a state file of queue/testdata the world's.
func (w *world) unpack(name string) {
	w.t.Helper()
	packed, err := os.ReadFile(filepath.Join("queue", "testdata", name+".db.zst"))
	if err != nil {
		w.t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		w.t.Fatal(err)
	}
	defer dec.Close()
	b, err := dec.DecodeAll(packed, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("sumbi.db", string(b))
}
