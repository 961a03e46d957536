//go:build linux || darwin

package queue

import (
	"path/filepath"
	"syscall"
)

// Free returns how many bytes the state's disk has left for it; false when that is not known, as of a database elsewhere.
func (s *Store) Free() (int64, bool) {
	var fs syscall.Statfs_t
	if s.pg != nil || syscall.Statfs(filepath.Dir(s.path), &fs) != nil {
		return 0, false
	}
	return int64(fs.Bavail) * int64(fs.Bsize), true //nolint:unconvert,gosec // the types differ between systems; no disk is that large
}
