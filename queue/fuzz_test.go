package queue_test

import (
	"testing"

	"sumbi/queue"
)

// FuzzFrame reads damaged and foreign frames. What comes out is what went in, or an error; never more than an item may have.
func FuzzFrame(f *testing.F) {
	s := fresh(f)
	_, ws := begin(f, s, "을지로골목", "posts")
	var p queue.Packer
	packed, err := p.Pack(f.Context(), s, rawPosts(12))
	check(f, err)
	within(f, s, func(tx *queue.Tx) error {
		_, err := tx.PutPacked(ws[0], packed)
		return err
	})
	rs, err := s.RawRecords(f.Context(), "matzip", 0, 20)
	check(f, err)
	for _, r := range rs[:3] {
		f.Add(r.Raw)
		f.Add(r.Raw[:len(r.Raw)/2])
	}
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe4, 0, 0, 0, 0, 1, 0, 0, 0})
	// A frame that says it holds four gigabytes.
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff, 0xff, 0x03, 0xff, 0xff, 0x61})
	f.Fuzz(func(t *testing.T, frame []byte) {
		raw, err := p.Unpack(t.Context(), s, queue.RawRecord{Raw: frame})
		if (err == nil) != (len(raw) > 0) || len(raw) > 16<<20 {
			t.Errorf("%d bytes, %v", len(raw), err)
		}
	})
}
