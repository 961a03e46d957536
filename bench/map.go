package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"sumbi/queue/bigtest"
)

// look is what a request to the page has cost the process that serves it.
type look struct {
	took, cpu      time.Duration // until all of the answer was there
	resident, peak int64         // then
	body           string        // its first megabyte
}

// maps measures what the page's map costs a `sumbi serve` that has nothing else to do: its first look, one after a change, filters
// and a file of all places.
func (b *bench) maps(ctx context.Context) error {
	programs := [][2]string{{"sumbi", b.sumbi}}
	if b.than != "" {
		programs = append(programs, [2]string{filepath.Base(b.than), b.than})
	}
	b.out.section("The map")
	b.out.line("`sumbi serve` over a file with nothing to do, without `GOMEMLIMIT`. What an answer takes goes until all of it is there. After a decision the map is read again before it is shown.\n")
	head := []string{""}
	var rows [][]string
	for _, size := range []bigtest.Size{{Accounts: bigtest.Accounts, Posts: bigtest.Posts, Places: bigtest.Places}, {Accounts: 1000, Posts: 1_000_000, Places: 200_000}} {
		if b.short && size.Posts > bigtest.Posts {
			continue
		}
		state, err := b.mapState(ctx, size)
		if err != nil {
			return err
		}
		for _, p := range programs {
			figures, err := b.mapOver(ctx, state, p[1])
			if err != nil {
				return fmt.Errorf("%s: %w", p[0], err)
			}
			head = append(head, fmt.Sprintf("%s: %s posts, %s places", p[0], count(size.Posts), count(size.Places)))
			for i, f := range figures {
				if i == len(rows) {
					rows = append(rows, []string{f[0]})
				}
				rows[i] = append(rows[i], f[1])
			}
		}
		if err := os.RemoveAll(filepath.Dir(state)); err != nil {
			return err
		}
	}
	b.out.table(head, rows)
	return nil
}

// mapState makes a state in which nothing is left to do.
func (b *bench) mapState(ctx context.Context, size bigtest.Size) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "map-")
	if err != nil {
		return "", err
	}
	schema, err := os.ReadFile(filepath.Join(b.root, "schema.sql"))
	if err != nil {
		return "", err
	}
	path, began := filepath.Join(dir, "map.db"), time.Now()
	if err := bigtest.Make(ctx, path, string(schema), time.Now(), size); err != nil {
		return "", err
	}
	err = fill(ctx, path, func(add func(n int, statements ...string) error) error {
		return add(1, `delete from job`, `delete from goqite`, `delete from outbox`, `update run set state = 'done'`, `update walk set state = 'idle'`)
	})
	fmt.Fprintf(os.Stderr, "%s posts written in %s\n", count(size.Posts), time.Since(began).Round(time.Second))
	return path, err
}

// mapOver serves a state by a program and looks at its map. It returns names and figures.
func (b *bench) mapOver(ctx context.Context, state, program string) (figures [][2]string, err error) {
	pr, err := b.project("map", &world{base: "http://127.0.0.1:9", accounts: []string{bigtest.Account(0)}}, settings{perSecond: 8})
	if err != nil {
		return nil, err
	}
	defer pr.remove()
	pr.env, pr.program = append(pr.env, "SUMBI_STATE="+state), program
	p, _, err := pr.serve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop(ctx)) }()
	if err := pause(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	figures = append(figures, [2]string{"idle: resident", mb(procMemory(p.cmd.Process.Pid, "VmRSS"))})
	add := func(name string, l look) {
		figures = append(figures, [][2]string{
			{name, ms(l.took)}, {name + ": CPU", ms(l.cpu)}, {name + ": resident then", mb(l.resident)}, {name + ": peak so far", mb(l.peak)},
		}...)
	}
	first, err := pr.look(ctx, p, "/map", "")
	if err != nil {
		return nil, err
	}
	add("first look", first)
	var next look
	for range 3 {
		if next, err = pr.nextLook(ctx, p); err != nil {
			return nil, err
		}
	}
	add("look after a decision, the third", next)
	for _, f := range [][2]string{{"all points", ""}, {"points of an account", "account=" + bigtest.Account(7)}, {"of advertising", "ad=yes"}, {"of a name", "q=%EA%B5%AD%EB%B0%A5"}} {
		var best look
		for range 5 {
			l, err := pr.look(ctx, p, "/map/points?"+f[1], "")
			if err != nil {
				return nil, err
			}
			if best.took == 0 || l.took < best.took {
				best = l
			}
		}
		figures = append(figures, [2]string{f[0] + ", the fastest of 5", ms(best.took)})
	}
	file, err := pr.look(ctx, p, "/map.geojson", "")
	if err != nil {
		return nil, err
	}
	add("GeoJSON of all places", file)
	return figures, nil
}

var mentionNumber = regexp.MustCompile(`"items":\s*\[\s*{\s*"id":\s*(\d+)`)

// nextLook decides on a mention, so that the map is read again when it is looked at.
func (p *project) nextLook(ctx context.Context, pr *proc) (look, error) {
	waiting, err := p.look(ctx, pr, "/api/v1/reviews?pipeline=matzip&limit=1", "")
	if err != nil {
		return look{}, err
	}
	m := mentionNumber.FindStringSubmatch(waiting.body)
	if m == nil {
		return look{}, errors.New("no mention waits for a person")
	}
	if _, err := p.look(ctx, pr, "/api/v1/reviews/"+m[1], `{"decision":"none"}`); err != nil {
		return look{}, err
	}
	return p.look(ctx, pr, "/map", "")
}

// look asks for a path, or sends it JSON when there is any.
func (p *project) look(ctx context.Context, pr *proc, path, json string) (l look, err error) {
	method := http.MethodGet
	if json != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(json))
	if err != nil {
		return l, err
	}
	req.Header.Set("Accept", "text/html, application/json")
	req.Header.Set("Content-Type", "application/json")
	pid := pr.cmd.Process.Pid
	before, err := cpuSoFar(pid)
	if err != nil {
		return l, err
	}
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return l, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	l.took = time.Since(began)
	after, errCPU := cpuSoFar(pid)
	l.cpu, l.body = after-before, string(text)
	l.resident, l.peak = procMemory(pid, "VmRSS"), procMemory(pid, "VmHWM")
	if resp.StatusCode != http.StatusOK {
		err = cmp.Or(err, fmt.Errorf("%s: status %d", path, resp.StatusCode))
	}
	return l, errors.Join(err, errCPU)
}
