package main

import (
	"context"
	"database/sql"
	"sync"
)

// loop is what one writes without an engine: a goroutine a list, the limiter between them, nothing that survives a crash.
func loop(ctx context.Context, s *shop, _ options) error {
	var wg sync.WaitGroup
	errs := make(chan error, len(s.first))
	for _, st := range s.first {
		wg.Go(func() {
			for next := &st; next != nil; {
				pg, err := s.patiently(ctx, *next)
				if err == nil {
					next, err = s.commit(ctx, *next, pg, func(*sql.Tx, *step) error { return nil })
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}
