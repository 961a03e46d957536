package rest

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	leastSecret = 6  // bytes of a credential that is blotted out of an error
	leastErased = 12 // of one that is erased from an answer, which is the upstream's own text
)

// credentials returns what a request shows to prove who sends it.
func credentials(sent http.Header) (all []string) {
	for name, values := range sent {
		switch name {
		case "Accept", "Accept-Encoding", "Content-Type", "User-Agent", "X-Rapidapi-Host":
			continue
		}
		for _, v := range values {
			if name == "Cookie" {
				all = append(all, v)
				for pair := range strings.SplitSeq(v, ";") {
					_, secret, _ := strings.Cut(strings.TrimSpace(pair), "=")
					all = append(all, secret)
				}
				continue
			}
			// What follows Bearer and KakaoAK is the credential.
			all = append(all, v[strings.LastIndexByte(v, ' ')+1:])
		}
	}
	return all
}

// redact blots the credentials of a request out of an error answer that repeats them, in whatever writing.
func redact(body []byte, sent http.Header) []byte {
	for _, v := range credentials(sent) {
		if len(v) < leastSecret {
			continue
		}
		for _, form := range writings(v) {
			body = bytes.ReplaceAll(body, []byte(form), []byte("[secret]"))
		}
	}
	return body
}

// plainWritings are the forms of a text that are read as it: as it is, escaped for an address or within JSON, longest first.
func plainWritings(v string) []string {
	quoted, _ := json.Marshal(v) // a text always encodes
	inJSON := string(quoted[1 : len(quoted)-1])
	all := []string{v, url.QueryEscape(v), url.PathEscape(v), inJSON}
	for _, s := range all[:4:4] {
		all = append(all, strings.ReplaceAll(s, "/", `\/`))
	}
	return longestFirst(all)
}

// writings are the forms in which an error may repeat a text: also as base64, alone or in the midst of something longer.
func writings(v string) []string {
	all := plainWritings(v)
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		all = append(all, enc.EncodeToString([]byte(v)))
		for before := range 3 {
			// Letters that hold bits of what stands before or behind are left out.
			text := enc.EncodeToString(append(make([]byte, before), v...))
			from, to := (before*8+5)/6, (before+len(v))*8/6
			if to-from >= leastSecret {
				all = append(all, text[from:to])
			}
		}
	}
	return longestFirst(all)
}

func longestFirst(all []string) []string {
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(all)
}

// redactError hides credentials in the text of err: net/http quotes answers that it cannot read, and what was read out of JSON
// may have been escaped there in a way of its own.
func redactError(err error, sent http.Header) error {
	text := err.Error()
	if clean := string(redact([]byte(text), sent)); clean != text {
		return &redacted{text: clean, err: err}
	}
	return err
}

type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string { return r.text }

// Unwrap lets the cause be recognised. Its own text is not to be shown.
func (r *redacted) Unwrap() error { return r.err }

// eraser replaces words in what it reads by as many asterisks.
type eraser struct {
	r     io.Reader
	words [][]byte
	room  []byte // buf lies in it
	buf   []byte // read and not yet handed out
	clean int    // bytes of buf that may be handed out
	err   error  // follows buf
}

// newEraser erases the credentials of a request from an answer.
func newEraser(r io.Reader, sent http.Header) *eraser {
	e := &eraser{r: r}
	longest := 0
	for _, v := range credentials(sent) {
		if len(v) < leastErased {
			continue
		}
		for _, w := range plainWritings(v) {
			e.words = append(e.words, []byte(w))
			longest = max(longest, len(w))
		}
	}
	if len(e.words) > 0 {
		e.room = make([]byte, 16<<10+longest)
	}
	return e
}

// Read implements io.Reader.
func (e *eraser) Read(p []byte) (int, error) {
	if len(e.words) == 0 {
		return e.r.Read(p)
	}
	for e.clean == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.fill()
	}
	n := copy(p, e.buf[:e.clean])
	e.buf, e.clean = e.buf[n:], e.clean-n
	return n, nil
}

// fill reads once. The end of what was read is kept back while a word may begin in it.
func (e *eraser) fill() {
	have := copy(e.room, e.buf)
	n, err := e.r.Read(e.room[have:])
	e.buf, e.err = e.room[:have+n], err
	e.clean = len(e.buf)
	for _, w := range e.words {
		for rest := e.buf; ; {
			at := bytes.Index(rest, w)
			if at < 0 {
				break
			}
			copy(rest[at:], bytes.Repeat([]byte("*"), len(w)))
			rest = rest[at+len(w):]
		}
		if err == nil {
			e.clean = min(e.clean, len(e.buf)-begun(e.buf, w))
		}
	}
}

// begun is how many bytes at the end of b are the beginning of w.
func begun(b, w []byte) int {
	for n := min(len(b), len(w)-1); n > 0; n-- {
		if bytes.HasSuffix(b, w[:n]) {
			return n
		}
	}
	return 0
}
