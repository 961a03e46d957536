package sim

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// blobMemory is how much of a file is kept in memory before it moves to disk.
const blobMemory = 4 << 20

// blob is the content of a file: written once, then read by many. The file behind a large one has no name any more,
// so that nothing is left behind.
type blob struct {
	mem  bytes.Buffer
	disk *os.File
	size int64
}

// Write appends p.
func (b *blob) Write(p []byte) (int, error) {
	if b.disk == nil && b.mem.Len()+len(p) > blobMemory {
		f, err := os.CreateTemp("", "sumbi-sim-*")
		if err != nil {
			return 0, fmt.Errorf("spill to disk: %w", err)
		}
		_ = os.Remove(f.Name()) // where open files cannot be removed the system's cleaning gets it
		if _, err := f.Write(b.mem.Bytes()); err != nil {
			return 0, fmt.Errorf("spill to disk: %w", err)
		}
		b.disk, b.mem = f, bytes.Buffer{}
	}
	n, err := len(p), error(nil)
	if b.disk != nil {
		n, err = b.disk.Write(p)
	} else {
		b.mem.Write(p)
	}
	b.size += int64(n)
	return n, err
}

// reader reads the whole content; several may read at once.
func (b *blob) reader() io.Reader {
	if b.disk != nil {
		return io.NewSectionReader(b.disk, 0, b.size)
	}
	return bytes.NewReader(b.mem.Bytes())
}
