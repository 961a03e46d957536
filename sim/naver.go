package sim

import (
	"encoding/xml"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

var seoul = time.FixedZone("KST", 9*60*60)

// koreanDay is the quota period of Naver and Kakao: a Korean day.
func koreanDay(t time.Time) string { return t.In(seoul).Format(time.DateOnly) }

func (s *Server) routeNaver() {
	for _, hub := range []bool{true, false} {
		g := gate{
			name: "naver", faults: &s.dice.faults.Naver.HTTPFaults, latency: s.o.SearchLatency,
			perSecond: s.o.NaverPerSecond, quota: s.o.NaverPerDay, period: koreanDay,
			key: func(w http.ResponseWriter, r *http.Request) (string, bool) { return s.naverKey(w, r, hub) },
			refuse: func(w http.ResponseWriter, r *http.Request, v verdict) {
				switch {
				case hub && v == usedUp:
					s.hubError(w, http.StatusTooManyRequests, "400", "Quota Exceeded")
				case hub && s.dice.intN(4) == 0:
					s.hubError(w, http.StatusTooManyRequests, "410", "Throttle Limited")
				case hub:
					s.hubError(w, http.StatusTooManyRequests, "420", "Rate Limited")
				case v == usedUp:
					legacyError(w, r, http.StatusTooManyRequests, "010", "Query limit exceeded (쿼리 한도를 초과했습니다.)")
				default:
					legacyError(w, r, http.StatusTooManyRequests, "012", "Rate limit exceeded (속도 제한을 초과했습니다.)")
				}
			},
			broken: func(w http.ResponseWriter, r *http.Request) {
				legacyError(w, r, http.StatusInternalServerError, "SE99", "System Error (시스템 에러)")
			},
			spent: func() bool { return s.dice.hit(&s.dice.faults.Naver.DayUsedUp) },
		}
		if hub {
			s.mux.HandleFunc("GET "+NaverPath+"/search/v1/local", s.through(g, s.naverSearch))
		} else {
			s.mux.HandleFunc("GET "+NaverPath+"/v1/search/local.json", s.through(g, s.naverSearch))
			s.mux.HandleFunc("GET "+NaverPath+"/v1/search/local.xml", s.through(g, s.naverSearch))
		}
	}
	s.mux.HandleFunc(NaverPath+"/v1/search/", func(w http.ResponseWriter, r *http.Request) {
		s.stats.misdirected("naver")
		legacyError(w, r, http.StatusNotFound, "SE05", "Invalid search api (존재하지 않는 검색 api 입니다.)")
	})
	s.mux.HandleFunc(NaverPath+"/", func(w http.ResponseWriter, _ *http.Request) {
		s.stats.misdirected("naver")
		s.hubError(w, http.StatusNotFound, "300", "Not Found Exception")
	})
}

func (s *Server) naverKey(w http.ResponseWriter, r *http.Request, hub bool) (string, bool) {
	id, secret := r.Header.Get("X-Naver-Client-Id"), r.Header.Get("X-Naver-Client-Secret")
	if hub {
		id, secret = r.Header.Get("X-NCP-APIGW-API-KEY-ID"), r.Header.Get("X-NCP-APIGW-API-KEY")
	}
	known := id == s.o.Keys.NaverID
	if hub && s.o.NaverDialect == "legacy" || !hub && s.o.NaverDialect == "hub" {
		known = false // a credential of one dialect does not exist in the other
	}
	switch {
	case known && secret == s.o.Keys.NaverSecret:
		return "naver/1", true
	case hub:
		s.hubError(w, http.StatusUnauthorized, "200", "Authentication Failed")
	case known || id == "":
		legacyError(w, r, http.StatusUnauthorized, "024", "Authentication failed (인증에 실패하였습니다.)")
	default:
		legacyError(w, r, http.StatusUnauthorized, "024", "Not Exist Client ID : Authentication failed. (인증에 실패했습니다.)")
	}
	return "", false
}

func (s *Server) hubError(w http.ResponseWriter, status int, code, message string) {
	if s.dice.hit(&s.dice.faults.Naver.NestedHub) {
		reply(w, status, object{"error": object{"errorCode": code, "message": message, "details": message}})
		return
	}
	reply(w, status, object{"errorCode": code, "message": message})
}

func legacyError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	if strings.HasSuffix(r.URL.Path, ".xml") {
		w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<result><errorMessage>%s</errorMessage><errorCode>%s</errorCode></result>", html.EscapeString(message), code)
		return
	}
	reply(w, status, struct {
		Message string `json:"errorMessage"`
		Code    string `json:"errorCode"`
	}{message, code})
}

type naverItem struct {
	Title       string `json:"title" xml:"title"`
	Link        string `json:"link" xml:"link"`
	Category    string `json:"category" xml:"category"`
	Description string `json:"description" xml:"description"`
	Telephone   string `json:"telephone" xml:"telephone"`
	Address     string `json:"address" xml:"address"`
	RoadAddress string `json:"roadAddress" xml:"roadAddress"`
	MapX        string `json:"mapx" xml:"mapx"`
	MapY        string `json:"mapy" xml:"mapy"`
}

type naverAnswer struct {
	XMLName       xml.Name    `json:"-" xml:"channel"`
	LastBuildDate string      `json:"lastBuildDate" xml:"lastBuildDate"`
	Total         int         `json:"total" xml:"total"`
	Start         int         `json:"start" xml:"start"`
	Display       int         `json:"display" xml:"display"`
	Items         []naverItem `json:"items" xml:"item"`
}

func (s *Server) naverSearch(w http.ResponseWriter, r *http.Request) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	query := strings.TrimSpace(q.Get("query"))
	display, okDisplay := number(q.Get("display"), 1)
	start, okStart := number(q.Get("start"), 1)
	sort := q.Get("sort")
	switch {
	case err != nil || !utf8.ValidString(query):
		legacyError(w, r, http.StatusBadRequest, "SE06", "Malformed encoding (잘못된 형식의 인코딩입니다.)")
		return
	case query == "":
		legacyError(w, r, http.StatusBadRequest, "SE01", "Incorrect query request (잘못된 쿼리요청입니다.)")
		return
	case !okDisplay || display < 1 || display > 100:
		legacyError(w, r, http.StatusBadRequest, "SE02", "Invalid display value (부적절한 display 값입니다.)")
		return
	case !okStart || start < 1 || start > 1000:
		legacyError(w, r, http.StatusBadRequest, "SE03", "Invalid start value (부적절한 start 값입니다.)")
		return
	case sort != "" && sort != "random" && sort != "comment":
		legacyError(w, r, http.StatusBadRequest, "SE04", "Invalid sort value (부적절한 sort 값입니다.)")
		return
	}
	hits := find(s.places, query)
	if sort == "comment" {
		hits = byComments(hits)
	}
	katech := s.dice.hit(&s.dice.faults.Naver.Katech)
	a := naverAnswer{LastBuildDate: time.Now().In(seoul).Format(time.RFC1123Z), Start: 1, Items: []naverItem{}}
	for _, h := range hits[:min(len(hits), display, 5)] {
		a.Items = append(a.Items, s.naverItem(h.place, query, katech))
	}
	a.Total, a.Display = len(a.Items), len(a.Items)
	if strings.HasSuffix(r.URL.Path, ".xml") || q.Get("format") == "xml" {
		w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
		_, _ = w.Write([]byte(xml.Header + `<rss version="2.0">`))
		_ = xml.NewEncoder(w).Encode(a) // only the connection can fail
		_, _ = w.Write([]byte(`</rss>`))
		return
	}
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	reply(w, http.StatusOK, a)
}

// byComments puts the most popular one of the better half first, as sort=comment does, whatever was asked for.
func byComments(hits []hit) []hit {
	half := hits[:min(len(hits), 10)]
	best := 0
	for i, h := range half {
		if h.place.popular < half[best].place.popular {
			best = i
		}
	}
	if len(half) > 0 {
		h := half[best]
		copy(half[1:best+1], half[:best])
		half[0] = h
	}
	return hits
}

func (s *Server) naverItem(p *Place, query string, katech bool) naverItem {
	it := naverItem{
		Title: bold(p.Name, query), Link: p.Link, Category: p.Category, Address: p.Address, RoadAddress: p.RoadAddress,
		MapX: strconv.FormatFloat(p.Lng*1e7, 'f', 0, 64), MapY: strconv.FormatFloat(p.Lat*1e7, 'f', 0, 64),
	}
	if katech { // near enough to the old unit: six digits, metres
		it.MapX = strconv.Itoa(int(311277 + (p.Lng-126.9934)*88300))
		it.MapY = strconv.Itoa(int(552097 + (p.Lat-37.5668)*111000))
	}
	return it
}

// bold marks the words of the query in a title and escapes the rest as HTML. The map writes a plain & about every other time.
func bold(title, query string) string {
	marked := make([]bool, len(title))
	for w := range strings.FieldsSeq(query) {
		if utf8.RuneCountInString(w) < 2 {
			continue
		}
		for from := 0; ; {
			i := strings.Index(strings.ToLower(title[from:]), strings.ToLower(w))
			if i < 0 || from+i+len(w) > len(title) {
				break
			}
			for k := from + i; k < from+i+len(w); k++ {
				marked[k] = true
			}
			from += i + len(w)
		}
	}
	var b strings.Builder
	on := false
	for i, r := range title {
		if marked[i] != on {
			if on = marked[i]; on {
				b.WriteString("<b>")
			} else {
				b.WriteString("</b>")
			}
		}
		if r == '&' && len(title)%2 == 0 {
			b.WriteString("&amp;")
		} else {
			b.WriteRune(r)
		}
	}
	if on {
		b.WriteString("</b>")
	}
	return b.String()
}

// number reads a parameter that has a default.
func number(s string, def int) (int, bool) {
	if s == "" {
		return def, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
