// Package mongotest is a MongoDB server for tests: the one that SUMBI_TEST_MONGO names, else a process of its own that
// speaks MongoDB's protocol (FerretDB, built from the module next to this folder).
package mongotest

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a running server, or one that a test has killed.
type Server struct {
	t      testing.TB
	uri    string // of a server that is not ours
	binary string
	dir    string
	addr   string // host:port, the same after each start

	cmd    *exec.Cmd
	stdin  io.Closer
	exited chan struct{}
	said   *strings.Builder // its standard error; read it after exited is closed
}

// Start returns a server that ends with the test. Where none can be built the test is skipped, and fails if CI is set.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, uri: os.Getenv("SUMBI_TEST_MONGO"), dir: t.TempDir(), addr: "127.0.0.1:0"}
	if s.uri != "" {
		return s
	}
	var err error
	if s.binary, err = Build(t.Context()); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no MongoDB server for this test: %v", err)
		}
		t.Skipf("NOT TESTED, no MongoDB server could be built (set SUMBI_TEST_MONGO to use one that runs): %v", err)
	}
	t.Cleanup(s.Stop)
	s.Start()
	return s
}

// URI is the address to connect to.
func (s *Server) URI() string {
	if s.uri != "" {
		return s.uri
	}
	return "mongodb://" + s.addr + "/"
}

// Addr is host:port of a server of our own, "" else.
func (s *Server) Addr() string {
	if s.uri != "" {
		return ""
	}
	return s.addr
}

// Database returns a name that no other test uses.
func (s *Server) Database() string { return "sumbi_test_" + strings.ToLower(rand.Text()[:12]) }

// NeedOwn skips the test when the server is not a process that a test may kill.
func (s *Server) NeedOwn() {
	s.t.Helper()
	if s.uri != "" {
		s.t.Skip("the server of SUMBI_TEST_MONGO is not ours to kill")
	}
}

// Start starts the server again on the same port and files.
func (s *Server) Start() {
	s.t.Helper()
	s.NeedOwn()
	if s.cmd != nil {
		s.t.Fatal("mongotest: the server runs already")
	}
	// The port may be held for a moment by a connection that is just ending.
	var err error
	for range 50 {
		if err = s.start(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatalf("mongotest: %v", err)
}

func (s *Server) start() error {
	cmd := exec.Command(s.binary, "-dir", s.dir, "-listen", s.addr)
	said := &strings.Builder{}
	cmd.Stderr = said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("the server did not start: %s", strings.TrimSpace(said.String()))
	}
	s.addr = strings.TrimSpace(line)
	s.cmd, s.stdin, s.said, s.exited = cmd, stdin, said, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(s.exited)
	}()
	return nil
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	s.t.Helper()
	s.NeedOwn()
	s.end(syscall.SIGKILL)
}

// Stop ends the server in order. It may be called when none runs.
func (s *Server) Stop() {
	if s.uri == "" {
		s.end(syscall.SIGTERM)
	}
}

func (s *Server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("mongotest: %v", err)
	}
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
	_ = s.stdin.Close()
	s.cmd = nil
}
