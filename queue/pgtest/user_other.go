//go:build !unix

package pgtest

import "syscall"

// as is never needed: nobody is root here.
func as(int) *syscall.SysProcAttr { return nil }
