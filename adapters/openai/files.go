package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"sync"

	openai "github.com/sashabaranov/go-openai"

	"sumbi/adapters"
)

var errLength = errors.New("the length is not the one that was announced")

// Upload sends r, which holds exactly size bytes of lines, as a file of that name and returns the file's id. The bytes
// are streamed; r is not touched any more once Upload has returned. A file that nobody uses costs nothing and is deleted
// upstream after 30 days, so an upload may be repeated.
func (b *Batcher) Upload(ctx context.Context, name string, size int64, r io.Reader) (string, error) {
	if name == "" || size <= 0 || size > MaxFile {
		return "", invalid("file %q has %d bytes: it needs a name and 1 to %d bytes", name, size, MaxFile)
	}
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if err := form.WriteField("purpose", string(openai.PurposeBatch)); err != nil {
		return "", err
	}
	_, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("file", name)},
		"Content-Type":        {"application/jsonl"},
	})
	if err != nil {
		return "", err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	length := int64(head.Len()) + size + int64(len(tail))

	lent := &lease{r: r, size: size}
	defer lent.end()
	req, err := b.client.NewRequest(ctx, http.MethodPost, "/files", nil, io.MultiReader(&head, lent, strings.NewReader(tail)))
	if err != nil {
		return "", err
	}
	req.ContentLength = length // without it the body is chunked, which the upstream does not promise to take
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := b.client.Do(req)
	if errors.Is(err, errLength) {
		return "", invalid("upload %s: %w", name, err)
	}
	if err != nil {
		return "", failed(ctx, "upload "+name, err)
	}
	defer resp.Body.Close()
	var file fileObject
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&file); err != nil {
		return "", failed(ctx, "upload "+name, err)
	}
	if file.ID == "" {
		return "", failed(ctx, "upload "+name, errors.New("the answer has no id"))
	}
	if file.Bytes != 0 && file.Bytes != size {
		return "", failed(ctx, "upload "+name, fmt.Errorf("%d of %d bytes arrived", file.Bytes, size))
	}
	return file.ID, nil
}

// Download writes a file to w as it arrives and returns how many bytes were written. A body that breaks off is Temporary;
// a file that is not there (any more) is Permanent with ReasonGone.
func (b *Batcher) Download(ctx context.Context, file string, w io.Writer) (int64, error) {
	if err := checkID(file); err != nil {
		return 0, err
	}
	req, err := b.client.NewRequest(ctx, http.MethodGet, "/files/"+file+"/content", nil, nil)
	if err != nil {
		return 0, err
	}
	resp, err := b.client.Do(req)
	if e, ok := errors.AsType[*APIError](err); ok && e.Status == http.StatusNotFound {
		return 0, &adapters.Error{
			Kind: adapters.Permanent, Reason: adapters.ReasonGone, Upstream: upstream, Err: fmt.Errorf("file %s: %w", file, e),
		}
	}
	if err != nil {
		return 0, failed(ctx, "file "+file, err)
	}
	defer resp.Body.Close()
	body := &watched{r: resp.Body}
	n, err := io.Copy(w, body)
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil:
		return n, ctx.Err()
	case body.err == nil: // w refused, not the upstream
		return n, fmt.Errorf("write file %s: %w", file, err)
	default:
		return n, &adapters.Error{
			Kind: adapters.Temporary, Upstream: upstream, Err: fmt.Errorf("file %s breaks off after %d bytes: %w", file, n, err),
		}
	}
}

// lease is a reader of exactly size bytes that can be taken back: net/http may go on reading a body after the answer.
type lease struct {
	mu   sync.Mutex
	r    io.Reader
	size int64
	n    int64
	over bool
}

// Read implements io.Reader.
func (l *lease) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return 0, io.ErrClosedPipe
	}
	n, err := l.r.Read(p)
	l.n += int64(n)
	if l.n > l.size || (err == io.EOF && l.n < l.size) {
		return n, errLength
	}
	return n, err
}

func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

// watched remembers whether it was the reading that broke a copy.
type watched struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
