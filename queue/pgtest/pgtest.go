// Package pgtest gives tests databases of a PostgreSQL server that it starts itself.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Wanted tells whether the tests are to run over PostgreSQL: SUMBI_TEST_ENGINE=postgres says so.
func Wanted() bool { return os.Getenv("SUMBI_TEST_ENGINE") == "postgres" }

// Server is a running server.
type Server struct {
	dir  string // "" when somebody else has started it
	host string
	bin  string
	sync bool // what is committed survives a power cut
	made atomic.Int64
}

// Start starts a server that listens on a socket in a directory of its own and forgets everything at its end. With
// SUMBI_TEST_POSTGRES, the address of a server's administrator, that one is used instead.
func Start() (*Server, error) {
	return start(false)
}

func start(durable bool) (*Server, error) {
	if address := os.Getenv("SUMBI_TEST_POSTGRES"); address != "" {
		return &Server{host: address}, nil
	}
	return own(durable)
}

// Own starts a server that nobody else uses: it may be stopped and started again.
func Own() (*Server, error) { return own(false) }

func own(durable bool) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // a socket's name is short
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, sync: durable}
	if err := s.start(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// StartDurable starts a server whose commits reach the disk, to be measured.
func StartDurable() (*Server, error) { return start(true) }

// programs finds where the server's programs are: Debian keeps them off the PATH.
func programs() (string, error) {
	if p, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			return filepath.Dir(real), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // the pattern is good
	if len(found) == 0 {
		return "", errors.New("there is no PostgreSQL on this machine: install it (Debian: apt-get install postgresql), or name a server in SUMBI_TEST_POSTGRES")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

func (s *Server) start() error {
	if os.Getuid() == 0 { // it refuses to run as root
		id, err := nobody()
		if err != nil {
			return err
		}
		if err := os.Chown(s.dir, id, -1); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	if err := s.run("initdb", "-D", data, "-U", "sumbi", "--auth=trust", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"); err != nil {
		return err
	}
	return s.Restart()
}

// nobody is the number of the user that the server runs as when the tests are root's.
func nobody() (int, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Uid)
}

// patience is how many seconds a server may take to start or stop: more than it does on the slowest machine.
const patience = "600"

// Restart starts the server again after Stop.
func (s *Server) Restart() error {
	options := "-c listen_addresses='' -k " + s.dir + " -c max_connections=400"
	if !s.sync {
		options += " -c fsync=off -c full_page_writes=off"
	}
	return s.run("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-w", "-t", patience, "-l", filepath.Join(s.dir, "log"), "-o", options, "start")
}

// Stop ends the server at once, as a crash would. Nothing is removed.
func (s *Server) Stop() error {
	return s.run("pg_ctl", "-D", filepath.Join(s.dir, "data"), "-m", "immediate", "-w", "-t", patience, "stop")
}

// Close ends the server, if it was started here, and removes its files.
func (s *Server) Close() error {
	if s.dir == "" {
		return nil
	}
	return errors.Join(s.Stop(), os.RemoveAll(s.dir))
}

func (s *Server) run(name string, args ...string) error {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	if os.Getuid() == 0 {
		id, err := nobody()
		if err != nil {
			return err
		}
		cmd.SysProcAttr = as(id)
	}
	// To a file: the server inherits it and would keep a pipe open.
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(log.Name())
		more, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("%s: %w\n%s%s", name, err, text, more)
	}
	return nil
}

// Address is the address of a database.
func (s *Server) Address(database string) string {
	if s.dir == "" {
		u, err := url.Parse(s.host)
		if err != nil {
			return s.host
		}
		u.Path = "/" + database
		return u.String()
	}
	return "postgres://sumbi@/" + database + "?host=" + url.QueryEscape(s.dir)
}

// Create makes a new database like another one and returns its address; like "" it is empty.
func (s *Server) Create(ctx context.Context, like string) (string, error) {
	name := fmt.Sprintf("t%d_%d", os.Getpid(), s.made.Add(1))
	if like == "" {
		like = "template1"
	}
	for try := 1; ; try++ {
		err := s.Do(ctx, "create database "+name+" template "+like)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == inUse && try < 24 {
			continue // whoever used it has closed it, and is still going; the server has waited for some seconds
		}
		return s.Address(name), err
	}
}

// inUse is what the server says of a database that others are connected to.
const inUse = "55006"

// Do runs a statement as the administrator.
func (s *Server) Do(ctx context.Context, statement string) error {
	c, err := pgx.Connect(ctx, s.Address("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, statement)
	return err
}

// Name is the name of the database at an address.
func Name(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path[1:]
}

// Database makes a database like another one for the time of a test.
func (s *Server) Database(t testing.TB, like string) string {
	t.Helper()
	address, err := s.Create(context.Background(), like)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Do(context.Background(), "drop database if exists "+Name(address)+" with (force)") })
	return address
}
