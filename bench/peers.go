package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// peer is another engine that does the same work.
type peer struct{ name, label string }

func peerList() []peer {
	return []peer{{"loop", "plain Go loop"}, {"goqite", "goqite's jobs runner"}, {"river", "River on SQLite"}}
}

// guard is what everybody adds to the window of one second when calls are spaced; sumbi starts with it, too.
const guard = 32 * time.Millisecond

// spare is how many more calls than rate × latency may be in flight.
const spare = 1.4

// peerCrawls runs the peers over the workload. One that loses pages is measured all the same, and named so.
func (b *bench) peerCrawls(ctx context.Context, w workload) ([]*crawled, error) {
	if b.peers == "" {
		return nil, nil
	}
	var all []*crawled
	for _, pe := range peerList() {
		c, err := b.peerCrawl(ctx, w, pe)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pe.label, err)
		}
		if lost := w.pages() - (c.stats.PagesServed - c.stats.PagesAgain); lost > 0 {
			c.who += fmt.Sprintf(" (%d pages lost)", lost)
		}
		all = append(all, c)
	}
	return all, nil
}

func (b *bench) peerCrawl(ctx context.Context, w workload, pe peer) (*crawled, error) {
	up, err := openWorld(ctx, w.options())
	if err != nil {
		return nil, err
	}
	defer up.close()
	dir, err := os.MkdirTemp(b.dir, pe.name+"-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	rate := w.rate() / (1 + guard.Seconds())
	p, err := launch(ctx, dir, nil, b.peers, "crawl", "-engine", pe.name, "-base", up.base, "-db", filepath.Join(dir, "peer.db"),
		"-rate", fmt.Sprintf("%.4f", rate), "-workers", fmt.Sprint(int(w.rate()*w.latency.Seconds()*spare)))
	if err != nil {
		return nil, err
	}
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	c := &crawled{who: pe.label}
	c.measures(p)
	st, err := up.stats(ctx)
	c.sees(st)
	return c, err
}

// peerEngine lets a peer do nothing but steps for a while.
func (b *bench) peerEngine(ctx context.Context, pe peer, d time.Duration, flags ...string) (engineRun, error) {
	dir, err := os.MkdirTemp(b.dir, pe.name+"-")
	if err != nil {
		return engineRun{}, err
	}
	defer os.RemoveAll(dir)
	return b.peerMeasure(ctx, pe, dir, append([]string{"engine", "-engine", pe.name, "-db", filepath.Join(dir, "peer.db"), "-for", d.String()}, flags...)...)
}

// message is what a goqite message costs here: a measure of the machine.
func (b *bench) message(ctx context.Context) (engineRun, error) {
	return b.peerMeasure(ctx, peer{"message", "a goqite message"}, b.dir, "message", "-for", pick(b, 3*time.Second, time.Second).String())
}

func (b *bench) peerMeasure(ctx context.Context, pe peer, dir string, args ...string) (engineRun, error) {
	p, err := launch(ctx, dir, nil, b.peers, args...)
	if err != nil {
		return engineRun{}, err
	}
	if err := p.wait(ctx); err != nil {
		return engineRun{}, err
	}
	r := engineRun{who: pe.label}
	if err := json.Unmarshal(p.stdout.Bytes(), &r); err != nil {
		return r, fmt.Errorf("%s said %q: %w", pe.label, p.stdout.String(), err)
	}
	return r, nil
}
