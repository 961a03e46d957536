package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"sumbi/sim"
)

// simRole is the argument with which this program serves the upstreams to another one.
const simRole = "serve-sim"

// serveSim reads options as JSON, prints the address, and serves until its input ends: so it never outlives its parent.
func serveSim(in io.Reader, out io.Writer) error {
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o sim.Options
	if err := json.Unmarshal(line, &o); err != nil {
		return err
	}
	base, stop, err := sim.New(o).Start()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintln(out, base)
	_, err = io.Copy(io.Discard, r)
	return err
}

// world is a simulated upstream in a process of its own.
type world struct {
	base     string
	accounts []string
	cmd      *exec.Cmd
	in       io.Closer
}

func openWorld(ctx context.Context, o sim.Options) (*world, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name, args := self, []string{simRole}
	// The real upstream has a machine of its own: what is measured here must not make it late.
	if nice, err := exec.LookPath("nice"); err == nil && os.Geteuid() == 0 {
		name, args = nice, []string{"-n", "-5", self, simRole}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &world{cmd: cmd, in: in}
	b, err := json.Marshal(o)
	if err == nil {
		_, err = in.Write(append(b, '\n'))
	}
	if err == nil {
		w.base, err = bufio.NewReader(out).ReadString('\n')
		w.base = strings.TrimSpace(w.base)
	}
	if err == nil {
		err = w.get(ctx, "/sim/accounts", &w.accounts)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("simulated upstream: %w", err)
	}
	return w, nil
}

// close ends the process and tells how much processor it took, in seconds.
func (w *world) close() float64 {
	_ = w.in.Close()
	_ = w.cmd.Wait() // what it measured was read before
	if s := w.cmd.ProcessState; s != nil {
		return (s.UserTime() + s.SystemTime()).Seconds()
	}
	return 0
}

// calm ends the faults.
func (w *world) calm(ctx context.Context) error {
	return w.do(ctx, http.MethodPost, "/sim/calm", nil)
}

func (w *world) do(ctx context.Context, method, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

func (w *world) get(ctx context.Context, path string, out any) error {
	return w.do(ctx, http.MethodGet, path, out)
}

func (w *world) stats(ctx context.Context) (st sim.Stats, err error) {
	return st, w.get(ctx, "/sim/stats", &st)
}

// reset begins to count anew.
func (w *world) reset(ctx context.Context) error {
	return w.do(ctx, http.MethodPost, "/sim/reset", nil)
}
