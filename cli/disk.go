//go:build linux || darwin

package cli

import "syscall"

// freeBytes is the room that a user has on the disk of dir; false when it is not known.
func freeBytes(dir string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // uint32 on darwin
}
