package jobs_test

import (
	"context"
	"flag"
	"os"
	"testing"

	"sumbi/queue/pgtest"
)

// A story runs whole pipelines: a few are enough for every day, -rapid.checks asks for more.
func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if pgtest.Wanted() && !asked {
		asked = true
		_ = flag.Set("rapid.checks", "3") // each story takes ten times as long over PostgreSQL
	}
	if !asked {
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	stopPostgres()
	os.Exit(code)
}

// stopPostgres ends the server that the tests have started.
func stopPostgres() {
	if !pgtest.Wanted() {
		return
	}
	server, err := postgres()
	if err != nil {
		return
	}
	if like, err := empty(); err == nil {
		_ = server.Do(context.Background(), "drop database if exists "+string(like)+" with (force)")
	}
	_ = server.Close()
}
