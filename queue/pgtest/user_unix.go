//go:build unix

package pgtest

import "syscall"

// as lets a program run as the user of a number.
func as(id int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}}
}
