package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const maxUpload = 512 << 20

// file is an uploaded or written file. It does not change once it is in openAI.files.
type file struct {
	id, name, purpose string
	created, expires  int64
	body              *blob
}

func (f *file) view(first bool) object {
	o := object{
		"id": f.id, "object": "file", "bytes": f.body.size, "created_at": f.created, "expires_at": f.expires, "filename": f.name,
		"purpose": f.purpose, "status": "processed", "status_details": nil,
	}
	if first {
		o["expires_at"] = nil
	}
	return o
}

// upload takes POST /files. The content is never in memory as a whole when it is large.
func (ai *openAI) upload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload+1<<20)
	if ai.s.dice.hit(&ai.s.dice.faults.OpenAI.UploadCut) {
		_, _ = io.CopyN(io.Discard, r.Body, 1<<10)
		panic(http.ErrAbortHandler)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		invalid(w, http.StatusBadRequest, "Expected a multipart/form-data body.", nil, nil)
		return
	}
	f := &file{body: &blob{}, created: time.Now().Unix()}
	fields, err := f.read(parts)
	seconds, secondsErr := strconv.ParseInt(fields["expires_after[seconds]"], 10, 64)
	f.purpose = fields["purpose"]
	f.expires = f.created + 30*86400
	switch {
	case errors.As(err, new(*http.MaxBytesError)) || f.body.size > maxUpload:
		invalid(w, http.StatusRequestEntityTooLarge, "413: The data value transmitted exceeds the capacity limit.", nil, nil)
		return
	case err != nil:
		invalid(w, http.StatusBadRequest, "Could not read the uploaded file.", "file", nil)
		return
	case f.name == "":
		invalid(w, http.StatusBadRequest, "'file' is a required property", "file", nil)
		return
	case f.purpose == "":
		invalid(w, http.StatusBadRequest, "'purpose' is a required property", "purpose", nil)
		return
	case !slices.Contains([]string{"batch", "assistants", "fine-tune", "vision", "user_data", "evals"}, f.purpose):
		invalid(w, http.StatusBadRequest, fmt.Sprintf("'%s' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'", f.purpose), "purpose", nil)
		return
	case f.purpose == "batch" && !f.isLines():
		invalid(w, http.StatusBadRequest, "Invalid file format for Batch API. Must be .jsonl", nil, nil)
		return
	case fields["expires_after[anchor]"] != "" && fields["expires_after[anchor]"] != "created_at":
		invalid(w, http.StatusBadRequest, "Invalid value for 'expires_after[anchor]': expected 'created_at'.", "expires_after.anchor", "invalid_value")
		return
	case fields["expires_after[seconds]"] != "":
		if secondsErr != nil || seconds < 3600 || seconds > 2592000 {
			invalid(w, http.StatusBadRequest, "Invalid 'expires_after[seconds]': expected a value between 3600 and 2592000.", "expires_after.seconds", "integer_out_of_range")
			return
		}
		f.expires = f.created + seconds
	}
	ai.mu.Lock()
	ai.store(f, "file-")
	ai.mu.Unlock()
	ai.s.stats.add(func(st *Stats) { st.Files++ })
	if ai.s.dice.hit(&ai.s.dice.faults.OpenAI.UploadLost) {
		panic(http.ErrAbortHandler)
	}
	reply(w, http.StatusOK, f.view(true))
}

// read takes the parts of the form: the file itself and short fields.
func (f *file) read(parts *multipart.Reader) (map[string]string, error) {
	fields := map[string]string{}
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, nil
		}
		if err != nil {
			return fields, fmt.Errorf("next part: %w", err)
		}
		if p.FormName() == "file" {
			f.name = p.FileName()
			if _, err := io.Copy(f.body, p); err != nil {
				return fields, fmt.Errorf("file part: %w", err)
			}
			continue
		}
		b, err := io.ReadAll(io.LimitReader(p, 1<<10))
		if err != nil {
			return fields, fmt.Errorf("field %s: %w", p.FormName(), err)
		}
		fields[p.FormName()] = string(b)
	}
}

// isLines reports whether the first line is a JSON object; the others are looked at when a batch is validated.
func (f *file) isLines() bool {
	line, err := bufio.NewReaderSize(f.body.reader(), 64<<10).ReadBytes('\n')
	line = bytes.TrimSpace(line)
	return (err == nil || errors.Is(err, io.EOF)) && len(line) > 0 && line[0] == '{' && json.Valid(line)
}

// store makes a file visible. The caller holds ai.mu.
func (ai *openAI) store(f *file, prefix string) {
	f.id = ai.id(prefix)
	ai.files[f.id] = f
	ai.order = append(ai.order, f)
}

// fileOf finds the file of a request; it answers when there is none.
func (ai *openAI) fileOf(w http.ResponseWriter, r *http.Request) *file {
	ai.mu.Lock()
	defer ai.mu.Unlock()
	f := ai.files[r.PathValue("id")]
	if f == nil {
		invalid(w, http.StatusNotFound, "No such File object: "+r.PathValue("id"), "id", nil)
	}
	return f
}

func (ai *openAI) getFile(w http.ResponseWriter, r *http.Request) {
	if f := ai.fileOf(w, r); f != nil {
		reply(w, http.StatusOK, f.view(false))
	}
}

func (ai *openAI) deleteFile(w http.ResponseWriter, r *http.Request) {
	f := ai.fileOf(w, r)
	if f == nil {
		return
	}
	ai.mu.Lock()
	delete(ai.files, f.id)
	ai.order = slices.DeleteFunc(ai.order, func(x *file) bool { return x == f })
	ai.mu.Unlock()
	reply(w, http.StatusOK, object{"id": f.id, "object": "file", "deleted": true})
}

func (ai *openAI) listFiles(w http.ResponseWriter, r *http.Request) {
	ai.mu.Lock()
	all := slices.Clone(ai.order)
	ai.mu.Unlock()
	slices.Reverse(all)
	if purpose := r.URL.Query().Get("purpose"); purpose != "" {
		all = slices.DeleteFunc(all, func(f *file) bool { return f.purpose != purpose })
	}
	paged(w, r, all, 10_000, 10_000, func(f *file) string { return f.id }, func(f *file) any { return f.view(false) })
}

// content streams a file. Faults cut results inside their last line.
func (ai *openAI) content(w http.ResponseWriter, r *http.Request) {
	f := ai.fileOf(w, r)
	if f == nil {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.name))
	faults := &ai.s.dice.faults.OpenAI
	if f.purpose == "batch_output" && ai.s.dice.hit(&faults.CutDownload) {
		_, _ = io.CopyN(w, f.body.reader(), f.body.size*2/3)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if f.purpose == "batch_output" && ai.s.dice.hit(&faults.CutLine) {
		_, _ = io.CopyN(w, f.body.reader(), f.body.size-min(f.body.size, 20))
		return
	}
	_, _ = io.Copy(w, f.body.reader()) // only the connection can fail
}
