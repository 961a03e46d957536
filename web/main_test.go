package web_test

import (
	"os"
	"sync"
	"testing"

	"sumbi/queue/pgtest"
	"sumbi/web/browsertest"
)

// postgres is the server of all tests when they run over PostgreSQL.
var postgres = sync.OnceValues(pgtest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	browsertest.Close()
	if pgtest.Wanted() {
		if s, err := postgres(); err == nil {
			_ = s.Close()
		}
	}
	os.Exit(code)
}
