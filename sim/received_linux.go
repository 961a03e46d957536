package sim

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// stampReads lets the system note when what is read from a listener's connections reached this machine.
func stampReads(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1) // without it the clock is looked at later
	})
}

// stamped is a connection that knows when what was read last reached this machine.
type stamped struct {
	*net.TCPConn
	raw syscall.RawConn
	at  atomic.Int64 // of the wall clock, in nanoseconds since 1970; 0 is not known
}

func stamp(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	return &stamped{TCPConn: tcp, raw: raw}
}

// Read implements net.Conn.
func (c *stamped) Read(b []byte) (n int, err error) {
	var told [64]byte
	var size int
	werr := c.raw.Read(func(fd uintptr) bool {
		for {
			n, size, _, _, err = syscall.Recvmsg(int(fd), b, told[:], 0)
			if err != syscall.EINTR {
				return err != syscall.EAGAIN
			}
		}
	})
	switch {
	case werr != nil:
		return 0, werr
	case err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("recvmsg", err)}
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	all, err := syscall.ParseSocketControlMessage(told[:size])
	if err != nil {
		return n, nil
	}
	for _, m := range all {
		if m.Header.Level == syscall.SOL_SOCKET && m.Header.Type == syscall.SO_TIMESTAMPNS && len(m.Data) == 16 {
			c.at.Store(int64(binary.NativeEndian.Uint64(m.Data))*int64(time.Second) + int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return n, nil
}

// reached is when what was read last reached this machine; 0 when that is not known.
func (c *stamped) reached() int64 { return c.at.Load() }
