package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

const staticPath = "/static/"

// hashStatic is a name for the static files as they are: with it in their addresses they may be kept for ever, and modules
// find each other by relative names.
func hashStatic() string {
	h := sha256.New()
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
		return err
	})
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

func staticURL(name string) string { return staticPath + staticHash + "/" + name }

// static serves the files of static/. They are the same for everybody and hold nothing of the state.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	hash, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, staticPath), "/")
	b, err := files.ReadFile(path.Join("static", path.Clean("/"+name)))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if hash == staticHash {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if path.Ext(name) == ".geojson" {
		w.Header().Set("Content-Type", "application/geo+json")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}
