package clitest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal with a program on it.
type Terminal struct {
	*Screen
	control *os.File
	done    chan error
}

// Start starts a program on a terminal of that size: its standard input, output and errors.
func Start(cmd *exec.Cmd, cols, rows int) (*Terminal, error) {
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	t := &Terminal{Screen: NewScreen(cols), control: control, done: make(chan error, 1)}
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
		_, err := io.Copy(t.Screen, control)
		if errors.Is(err, syscall.EIO) { // the program has closed its end
			err = nil
		}
		t.done <- errors.Join(err, cmd.Wait(), control.Close())
	}()
	return t, nil
}

func (t *Terminal) size(cols, rows int) error {
	return unix.IoctlSetWinsize(int(t.control.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(cols)})
}

// Resize gives the terminal another size.
func (t *Terminal) Resize(cols, rows int) error {
	t.Screen.Resize(cols)
	return t.size(cols, rows)
}

// Wait waits for the end of the program.
func (t *Terminal) Wait() error { return <-t.done }
