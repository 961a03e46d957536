package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"sumbi/adapters"
)

// A kept item is a zstd frame with a checksum. Items of one stream are much alike, so the first ones become the dictionary of
// the later ones: an item of 3.2 KB takes 0.39 KB instead of 1.4 KB. A frame names its dictionary by number.
const (
	dictionaryLeast = 8        // items that make a dictionary
	dictionaryBytes = 8        // least bytes of it
	dictionaryMost  = 64 << 10 // bytes of it; an encoder's window
	unpackedMost    = 16 << 20 // bytes of an item
)

// Packed is a record whose raw item is ready to be kept.
type Packed struct {
	adapters.Record
	frame []byte // nil: no raw item
}

// blob is the value of a column for a frame.
func blob(frame []byte) any {
	if frame == nil {
		return nil
	}
	return frame
}

// Packer compresses and restores the raw items of one state file. The zero value is ready; it is safe for concurrent use and
// takes less than 2 MB.
type Packer struct {
	mu       sync.Mutex
	encoders map[string]*zstd.Encoder // by stream
	plain    *zstd.Encoder
	decoder  *zstd.Decoder
	damaged  map[int64]error // dictionaries that cannot be read, by number
	news     []error         // of damaged, what Damaged has not told
}

// Pack compresses the raw items of recs, before and outside the transaction that stores them with PutPacked. The first items
// of a stream are made its dictionary, in a short transaction of their own. So are the next ones where that is damaged.
func (p *Packer) Pack(ctx context.Context, s *Store, recs []adapters.Record) ([]Packed, error) {
	all := make([]Packed, len(recs))
	for i, r := range recs {
		all[i] = Packed{Record: r}
		if len(r.Raw) == 0 {
			continue
		}
		enc, err := p.encoder(ctx, s, r.Stream, recs)
		if err != nil {
			return nil, fmt.Errorf("keep the item of %s %s: %w", r.Stream, r.Key, err)
		}
		all[i].frame = slices.Clip(enc.EncodeAll(r.Raw, nil))
	}
	return all, nil
}

// Damaged returns what Pack has found damaged since it was asked last: each dictionary once.
func (p *Packer) Damaged() []error {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := p.news
	p.news = nil
	return news
}

// encoder returns the encoder of a stream, with its dictionary if there is one or recs can make one.
func (p *Packer) encoder(ctx context.Context, s *Store, stream string, recs []adapters.Record) (*zstd.Encoder, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if enc := p.encoders[stream]; enc != nil {
		return enc, nil
	}
	if p.plain == nil {
		enc, err := newEncoder()
		if err != nil {
			return nil, err
		}
		p.plain, p.encoders = enc, map[string]*zstd.Encoder{}
	}
	id, body, err := p.dictionary(ctx, s, stream)
	if errors.Is(err, ErrNotFound) {
		sample := sampleOf(stream, recs)
		if sample == nil {
			return p.plain, nil
		}
		id, body, err = p.learn(ctx, s, stream, sample)
	}
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder(zstd.WithEncoderDictRaw(uint32(id), body))
	if err != nil {
		return nil, err
	}
	p.encoders[stream] = enc
	return enc, nil
}

// newEncoder returns an encoder for one item at a time. The fastest level is within a tenth of the better ones here, and the
// only one that needs less than a megabyte.
func newEncoder(more ...zstd.EOption) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, append([]zstd.EOption{
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(dictionaryMost), zstd.WithEncoderCRC(true),
	}, more...)...)
}

// sampleOf joins items of a stream, the first one last because what is nearest costs least. It returns nil when they are few.
func sampleOf(stream string, recs []adapters.Record) []byte {
	var items [][]byte
	n := 0
	for _, r := range recs {
		if r.Stream == stream && len(r.Raw) > 0 && n+len(r.Raw) <= dictionaryMost {
			items, n = append(items, r.Raw), n+len(r.Raw)
		}
	}
	if len(items) < dictionaryLeast {
		return nil
	}
	slices.Reverse(items)
	return slices.Concat(items...)
}

// dictionary reads the newest dictionary of a stream; ErrNotFound when there is none, or it cannot be read: the items are an
// archive, and no crawl ends for its sake.
func (p *Packer) dictionary(ctx context.Context, s *Store, stream string) (id int64, body []byte, err error) {
	err = one(ctx, s.read, `select id, body from dictionary where stream = ? order by id desc limit 1`, []any{stream}, &id, &body)
	if err != nil {
		return 0, nil, s.explain(err)
	}
	if body, err = p.unpackDictionary(body); err == nil {
		return id, body, nil
	}
	if p.damaged[id] == nil {
		p.spoilt(id, err)
		p.news = append(p.news, fmt.Errorf("dictionary %d, which kept items of %s need, is damaged: %w", id, stream, err))
	}
	return 0, nil, ErrNotFound
}

// spoilt notes that a dictionary cannot be read.
func (p *Packer) spoilt(id int64, err error) {
	if p.damaged == nil {
		p.damaged = map[int64]error{}
	}
	p.damaged[id] = err
}

// unpackDictionary restores the text of a dictionary.
func (p *Packer) unpackDictionary(frame []byte) ([]byte, error) {
	body, err := p.unpack(frame)
	if err == nil && len(body) < dictionaryBytes {
		err = errors.New("it is too short")
	}
	return body, err
}

// learn stores a dictionary. Only the owner of a file packs, so nobody else does so at the same time.
func (p *Packer) learn(ctx context.Context, s *Store, stream string, sample []byte) (id int64, body []byte, err error) {
	frame := p.plain.EncodeAll(sample, nil)
	err = s.Tx(ctx, func(tx *Tx) error {
		return tx.one(`insert into dictionary (stream, body, at) values (?, ?, ?) returning id`, []any{stream, frame, stamp(tx.now)}, &id)
	})
	return id, sample, err
}

// RawRecord is a record with its raw item.
type RawRecord struct {
	Stored
	Lists []string // that showed it, the first one first
	Raw   []byte   // a frame for Unpack; nil where none was kept
}

// RawRecords returns up to n records of a pipeline whose number is above after, in the order of their numbers.
func (s *Store) RawRecords(ctx context.Context, pipeline string, after int64, n int) ([]RawRecord, error) {
	rs, err := list(ctx, s.read, `select `+storedColumns+`, r.raw,
		coalesce((select group_concat(w.list, ',' order by l.first, w.id) from listing l join walk w on w.id = l.walk where l.record = r.id), '')
		from record r where r.id > ? and r.pipeline = ? order by r.id limit ?`, []any{after, pipeline, n}, scanRaw)
	return rs, s.explain(err)
}

func scanRaw(r *sql.Rows) (RawRecord, error) {
	var rr RawRecord
	var data, lists string
	err := r.Scan(append(storedFields(&rr.Stored, &data), &rr.Raw, &lists)...)
	rr.Data = json.RawMessage(data)
	if lists != "" {
		rr.Lists = strings.Split(lists, ",")
	}
	return rr, err
}

// Renew stores what a record is now, read anew from its raw item, and tells the sinks of the places that it names.
func (tx *Tx) Renew(st Stored) error {
	_, err := tx.exec(`update record set data = ?, at = ? where id = ?`, string(st.Data), stamp(st.Time), st.ID)
	if err != nil {
		return fmt.Errorf("renew %s %s: %w", st.Stream, st.Key, err)
	}
	return tx.tellPlaces(st)
}

// Unpack restores a raw item. The error is one sentence that says what is damaged.
func (p *Packer) Unpack(ctx context.Context, s *Store, r RawRecord) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	raw, err := p.unpack(r.Raw)
	if errors.Is(err, zstd.ErrUnknownDictionary) {
		if err = p.load(ctx, s); err == nil {
			raw, err = p.unpack(r.Raw)
		}
		if errors.Is(err, zstd.ErrUnknownDictionary) {
			err = p.without(r.Raw, err)
		}
	}
	if err == nil && len(raw) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("the kept item of %s %s cannot be read: %w", r.Stream, r.Key, err)
	}
	return raw, nil
}

// without says why the dictionary that a frame names is not there.
func (p *Packer) without(frame []byte, err error) error {
	var h zstd.Header
	if h.Decode(frame) != nil {
		return err
	}
	if why := p.damaged[int64(h.DictionaryID)]; why != nil {
		return fmt.Errorf("dictionary %d is damaged: %w", h.DictionaryID, why)
	}
	return err
}

func (p *Packer) unpack(frame []byte) ([]byte, error) {
	if p.decoder == nil {
		var err error
		if p.decoder, err = newDecoder(); err != nil {
			return nil, err
		}
	}
	return p.decoder.DecodeAll(frame, nil)
}

func newDecoder(more ...zstd.DOption) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, append([]zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(unpackedMost)}, more...)...)
}

// load gives the decoder every dictionary of the file that can be read.
func (p *Packer) load(ctx context.Context, s *Store) error {
	type dictionary struct {
		id   int64
		body []byte
	}
	all, err := list(ctx, s.read, `select id, body from dictionary order by id`, nil, func(r *sql.Rows) (d dictionary, err error) {
		return d, r.Scan(&d.id, &d.body)
	})
	if err != nil {
		return s.explain(err)
	}
	var known []zstd.DOption
	for _, d := range all {
		body, err := p.unpackDictionary(d.body)
		if err != nil {
			p.spoilt(d.id, err)
			continue
		}
		known = append(known, zstd.WithDecoderDictRaw(uint32(d.id), body))
	}
	dec, err := newDecoder(known...)
	if err != nil {
		return err
	}
	p.decoder.Close()
	p.decoder = dec
	return nil
}
