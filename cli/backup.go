package cli

import (
	"fmt"
	"path/filepath"
	"time"
)

type backupCmd struct {
	File  string `arg:"" help:"The copy."`
	Force bool   `help:"Replace a file that is there, once the new copy is whole."`
}

// Run copies the state file while others work on it.
func (c backupCmd) Run(e *env) error {
	s, err := e.guest()
	if err != nil {
		return err
	}
	defer s.Close()
	file, err := filepath.Abs(c.File)
	if err != nil {
		return usageError{err}
	}
	began := time.Now()
	size, err := s.Backup(e.ctx, file, c.Force)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "%s: %.1f MB in %s, checked\n", c.File, float64(size)/1e6, short(time.Since(began)))
	return nil
}
