package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"sumbi/sim"
)

// TestDemoPage looks at the page of a demo while it works and after its end, and wants an interrupt to be an orderly end.
func TestDemoPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sim.Options{Accounts: 1, Posts: 1}, "") // the demo has one of its own
	c := w.cmd("demo", "--accounts", "1", "--posts", "4", "--stay")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	page := ""
	get := func() string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/html")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	during, after := "", ""
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "the page: "); ok {
			page = url
			during = get()
		}
		if strings.HasPrefix(lines.Text(), "the page stays open") {
			// The overview keeps for a while what was slow to read.
			w.until("the page shows the end", func() bool {
				after = get()
				return strings.Contains(after, ">Run now<")
			})
			if err := c.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Wait(); err != nil {
		t.Errorf("the demo ended with %v\n%s", err, &errs)
	}
	if !strings.Contains(during, "<h2><bdi>matzip</bdi></h2>") || !strings.Contains(after, ">Run now<") {
		t.Errorf("the page during the demo:\n%s\nand after it:\n%s", during, after)
	}
}
