package sim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// echoing makes every error answer repeat what the call was made with, in another writing each time.
func echoing(next http.Handler) http.Handler {
	var n atomic.Uint64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &echo{ResponseWriter: w}
		next.ServeHTTP(e, r)
		if e.status == 0 {
			return
		}
		said := sentWith(r, n.Add(1))
		body := e.body.Bytes()
		var o object
		if json.Unmarshal(body, &o) == nil && o != nil {
			body, _ = json.Marshal(repeat(o, said)) // it was JSON
		} else {
			body = append(body, said...)
		}
		w.Header().Del("Content-Length")
		w.Header().Set("X-Debug-Request", url.QueryEscape(said))
		w.WriteHeader(e.status)
		_, _ = w.Write(body)
	})
}

// sentWith writes down the credentials of a request.
func sentWith(r *http.Request, n uint64) string {
	var all []string
	for name, values := range r.Header {
		switch name {
		case "Authorization", "X-Rapidapi-Key", "X-Naver-Client-Id", "X-Naver-Client-Secret", "X-Ncp-Apigw-Api-Key-Id", "X-Ncp-Apigw-Api-Key", "Cookie":
			if name == "Cookie" {
				values = nil
				for _, ck := range r.Cookies() {
					values = append(values, ck.Value)
				}
			}
			for _, v := range values {
				v = v[strings.LastIndexByte(v, ' ')+1:]
				switch n % 4 {
				case 0:
					all = append(all, name+": "+v)
				case 1:
					all = append(all, url.QueryEscape(v))
				case 2:
					all = append(all, base64.StdEncoding.EncodeToString([]byte(v)))
				default:
					all = append(all, base64.URLEncoding.EncodeToString([]byte(name+": "+v+"\r\n")))
				}
			}
		}
	}
	slices.Sort(all)
	return " you sent " + strings.Join(all, " and ")
}

// repeat adds said to every text of a JSON value.
func repeat(v any, said string) any {
	switch v := v.(type) {
	case string:
		return v + said
	case object:
		return repeat(map[string]any(v), said)
	case map[string]any:
		for k := range v {
			if k == "code" || k == "type" || strings.HasSuffix(k, "Code") || k == "errorType" {
				continue // what programs read
			}
			v[k] = repeat(v[k], said)
		}
	case []any:
		for i := range v {
			v[i] = repeat(v[i], said)
		}
	}
	return v
}

// echo holds back an error answer and lets others pass.
type echo struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (e *echo) WriteHeader(status int) {
	if status >= 300 {
		e.status = status
		return
	}
	e.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (e *echo) Write(p []byte) (int, error) {
	if e.status != 0 {
		return e.body.Write(p)
	}
	return e.ResponseWriter.Write(p)
}

// FlushError implements what http.ResponseController asks for.
func (e *echo) FlushError() error {
	if e.status != 0 {
		return nil // it is sent with the end
	}
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach what is below.
func (e *echo) Unwrap() http.ResponseWriter { return e.ResponseWriter }
