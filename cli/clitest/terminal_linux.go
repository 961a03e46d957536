package clitest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal with a program on it.
type Terminal struct {
	*Screen
	cmd     *exec.Cmd
	control *os.File
	done    chan error

	reading sync.Mutex // what the program has written is on its way to the screen
	gone    bool       // the program has closed its end; reading guards it
}

// Start starts a program on a terminal of that size: its standard input, output and errors.
func Start(cmd *exec.Cmd, cols, rows int) (*Terminal, error) {
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t := &Terminal{Screen: NewScreen(cols), cmd: cmd, control: control, done: make(chan error, 1)}
	fd := int(control.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), t.size(cols, rows)); err != nil {
		control.Close()
		return nil, err
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		control.Close()
		return nil, err
	}
	defer tty.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		control.Close()
		return nil, err
	}
	go func() {
		var err error
		for more := true; more && err == nil; {
			if _, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); errors.Is(err, syscall.EINTR) {
				err = nil
			}
			if err == nil {
				more, err = t.show()
			}
		}
		t.done <- errors.Join(err, cmd.Wait(), control.Close())
	}()
	return t, nil
}

// show lets the screen show all that the program has written; more is false when it has closed its end.
func (t *Terminal) show() (more bool, err error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	fd, b := int(t.control.Fd()), make([]byte, 4096)
	for !t.gone {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, 0); err != nil || n == 0 {
			return true, nil
		}
		n, err := unix.Read(fd, b)
		switch {
		case errors.Is(err, syscall.EIO) || err == nil && n == 0:
			t.gone = true
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return false, err
		default:
			_, _ = t.Write(b[:n]) // a screen takes everything
		}
	}
	return false, nil
}

func (t *Terminal) size(cols, rows int) error {
	return unix.IoctlSetWinsize(int(t.control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)})
}

// Resize gives the terminal another size while the program neither writes nor has just looked at the size: a line that was made for
// one width and comes to another no program can help.
func (t *Terminal) Resize(cols, rows int) error {
	for end := time.Now().Add(20 * time.Second); !t.pause() && time.Now().Before(end); time.Sleep(time.Millisecond) {
		_ = t.cmd.Process.Signal(syscall.SIGCONT)
	}
	defer func() { _ = t.cmd.Process.Signal(syscall.SIGCONT) }() // it may have ended
	if _, err := t.show(); err != nil {
		return err
	}
	t.Screen.Resize(cols)
	return t.size(cols, rows)
}

// pause stops the program and reports whether all of it waits for something else than the terminal, as far as the system tells.
func (t *Terminal) pause() bool {
	if err := t.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return true // it has ended
	}
	tasks := fmt.Sprintf("/proc/%d/task", t.cmd.Process.Pid)
	for end := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		all, err := os.ReadDir(tasks)
		if err != nil {
			return true
		}
		stopped, waits := true, true
		for _, task := range all {
			dir := filepath.Join(tasks, task.Name())
			stat, err := os.ReadFile(filepath.Join(dir, "stat"))
			if err != nil {
				continue
			}
			_, state, _ := strings.Cut(string(stat), ") ")
			stopped = stopped && state != "" && strings.ContainsRune("TZX", rune(state[0]))
			call, err := os.ReadFile(filepath.Join(dir, "syscall"))
			if err != nil {
				continue // not everybody may look
			}
			nr, _, _ := strings.Cut(string(call), " ")
			if nr == "-1" || nr == "running\n" || nr == fmt.Sprint(unix.SYS_IOCTL) || nr == fmt.Sprint(unix.SYS_WRITE) {
				waits = false
			}
		}
		if stopped || time.Now().After(end) {
			return stopped && waits
		}
	}
}

// Wait waits for the end of the program.
func (t *Terminal) Wait() error { return <-t.done }
