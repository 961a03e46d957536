package openai_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"sumbi/adapters"
	"sumbi/adapters/openai"
	"sumbi/adapters/rest"
)

func TestUpload(t *testing.T) {
	t.Parallel()
	const text = `{"custom_id":"1","글":"냉면"}` + "\n"
	b := newBatcher(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/files" || r.ContentLength <= int64(len(text)) {
			t.Errorf("%s %s of %d bytes", r.Method, r.URL.Path, r.ContentLength)
		}
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			t.Error(err)
			return
		}
		file, header, err := r.FormFile("file")
		if err != nil {
			t.Error(err)
			return
		}
		got, err := io.ReadAll(file)
		if string(got) != text || header.Filename != `묶음 "1".jsonl` || r.FormValue("purpose") != "batch" {
			t.Errorf("%q named %q for %q (%v)", got, header.Filename, r.FormValue("purpose"), err)
		}
		fmt.Fprintf(w, `{"object":"file","id":"file-TnjeSoqJGFp7SfehYrEuHH","purpose":"batch","bytes":%d,"expires_at":null,"status":"processed"}`, len(got))
	})
	got, err := b.Upload(t.Context(), `묶음 "1".jsonl`, int64(len(text)), strings.NewReader(text))
	if err != nil || got != "file-TnjeSoqJGFp7SfehYrEuHH" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestUploadErrors(t *testing.T) {
	t.Parallel()
	drain := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	good := drain(200, `{"id":"file-1","bytes":4}`)
	broken := errors.New("디스크가 고장")
	tests := []struct {
		name   string
		answer http.HandlerFunc
		size   int64
		r      io.Reader
		kind   adapters.Kind
		is     error
	}{
		{"empty", nil, 0, strings.NewReader(""), adapters.Permanent, nil},
		{"too large", nil, openai.MaxFile + 1, strings.NewReader("줄"), adapters.Permanent, nil},
		{"shorter than announced", good, 40, strings.NewReader("1234"), adapters.Permanent, nil},
		{"longer than announced", good, 4, strings.NewReader("12345"), adapters.Permanent, nil},
		{"cannot be read", good, 4, io.MultiReader(strings.NewReader("12"), iotest.ErrReader(broken)), adapters.Temporary, broken},
		{"refused", drain(400, `{"error":{"message":"Invalid file format."}}`), 4, strings.NewReader("1234"), adapters.Permanent, nil},
		{"too large for them", drain(413, ``), 4, strings.NewReader("1234"), adapters.Permanent, nil},
		{"server error", drain(500, ``), 4, strings.NewReader("1234"), adapters.Temporary, nil},
		{"no id", drain(200, `{}`), 4, strings.NewReader("1234"), adapters.Temporary, nil},
		{"not all arrived", drain(200, `{"id":"file-1","bytes":3}`), 4, strings.NewReader("1234"), adapters.Temporary, nil},
		{"no JSON", drain(200, `<html>`), 4, strings.NewReader("1234"), adapters.Temporary, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := tt.answer
			if h == nil {
				h = func(http.ResponseWriter, *http.Request) { t.Error("called") }
			}
			id, err := newBatcher(t, h).Upload(t.Context(), "묶음.jsonl", tt.size, tt.r)
			e, ok := errors.AsType[*adapters.Error](err)
			if !ok || e.Kind != tt.kind || id != "" || (tt.is != nil && !errors.Is(err, tt.is)) {
				t.Errorf("got %q, %v; want %v", id, err, tt.kind)
			}
		})
	}
}

// lines is an endless file that exists nowhere.
type lines struct{}

func (lines) Read(p []byte) (int, error) {
	const line = `{"custom_id":"3533250442263839403","body":{"글":"을지로 골목의 노포"}}` + "\n"
	n := 0
	for n < len(p) {
		n += copy(p[n:], line)
	}
	return n, nil
}

// A full batch file goes up and comes down through a few kilobytes, whatever its size: the machine has 256 MB. This test
// does not run beside others, for it counts what is allocated.
func TestFilesAreStreamed(t *testing.T) {
	const size = 50 << 20
	b := newBatcher(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			n, err := io.Copy(io.Discard, r.Body)
			if n != r.ContentLength || n < size || err != nil {
				t.Errorf("%d of %d bytes: %v", n, r.ContentLength, err)
			}
			io.WriteString(w, `{"id":"file-1"}`)
			return
		}
		io.CopyN(w, lines{}, size)
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := b.Upload(t.Context(), "묶음.jsonl", size, io.LimitReader(lines{}, size)); err != nil {
		t.Fatal(err)
	}
	n, err := b.Download(t.Context(), "file-1", io.Discard)
	if err != nil || n != size {
		t.Fatalf("%d bytes came down: %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d KiB allocated for two times %d KiB", got>>10, size>>10)
	}
}

// After Upload has returned the reader is the caller's again, though a transport may go on reading the body of a request
// that was answered early.
func TestUploadLetsGo(t *testing.T) {
	t.Parallel()
	early := &earlyAnswer{}
	o := openai.ClientOptions("http://127.0.0.1")
	o.Transport = early
	b := openai.New(openai.Options{Client: rest.New(o), Model: "m"})
	file := &counted{}
	if _, err := b.Upload(t.Context(), "묶음.jsonl", 1<<20, file); err == nil {
		t.Error("no error")
	}
	before := file.reads
	if _, err := io.Copy(io.Discard, early.body); err == nil || file.reads != before {
		t.Errorf("%d reads after Upload had returned (%v)", file.reads-before, err)
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	const text = `{"custom_id":"1","글":"막국수"}` + "\n"
	broken := errors.New("자리가 없다")
	tests := []struct {
		name   string
		answer http.HandlerFunc
		w      io.Writer
		want   string
		kind   adapters.Kind
		reason string
	}{
		{"whole", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/files/file-1/content" {
				t.Errorf("asked %s", r.URL)
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			io.WriteString(w, text)
		}, nil, text, 0, "ok"},
		{"empty", func(http.ResponseWriter, *http.Request) {}, nil, "", 0, "ok"},
		{"chunks cut off", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, text)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, nil, text, adapters.Temporary, ""},
		{"length cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, text)
		}, nil, text, adapters.Temporary, ""},
		{"deleted", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"error":{"message":"No such File object: file-1"}}`)
		}, nil, "", adapters.Permanent, adapters.ReasonGone},
		{"expired", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, nil, "", adapters.Permanent, adapters.ReasonGone},
		{"gone without a word", http.NotFound, nil, "", adapters.Permanent, adapters.ReasonGone},
		{"server error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, nil, "", adapters.Temporary, ""},
		{"cannot be written", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }, full{broken}, "", 0, "write"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			var w io.Writer = &got
			if tt.w != nil {
				w = tt.w
			}
			n, err := newBatcher(t, tt.answer).Download(t.Context(), "file-1", w)
			if got.String() != tt.want || n != int64(got.Len()) {
				t.Errorf("%d bytes: %q, want %q", n, got.String(), tt.want)
			}
			e, classified := errors.AsType[*adapters.Error](err)
			switch {
			case tt.reason == "ok":
				if err != nil {
					t.Error(err)
				}
			case tt.reason == "write":
				if !errors.Is(err, broken) || classified {
					t.Errorf("err = %v", err)
				}
			case !classified || e.Kind != tt.kind || e.Reason != tt.reason:
				t.Errorf("err = %v, want %v %q", err, tt.kind, tt.reason)
			}
		})
	}
}

func TestDownloadCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := newBatcher(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "줄\n")
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	if _, err := b.Download(ctx, "file-1", io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}
