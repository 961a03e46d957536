package sim

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) routeKakao() {
	g := gate{
		name: "kakao", faults: &s.dice.faults.Kakao.HTTPFaults, latency: s.o.SearchLatency,
		perSecond: s.o.KakaoPerSecond, quota: s.o.KakaoPerDay, period: koreanDay,
		key: s.kakaoKey,
		refuse: func(w http.ResponseWriter, _ *http.Request, v verdict) {
			if v == usedUp {
				kakaoLimit(w, http.StatusTooManyRequests)
				return
			}
			reply(w, http.StatusTooManyRequests, object{"errorType": "TooManyRequests", "message": "Too many requests"})
		},
		broken: func(w http.ResponseWriter, _ *http.Request) {
			reply(w, http.StatusInternalServerError, object{"code": -1, "msg": "internal server error"})
		},
	}
	s.mux.HandleFunc("GET "+KakaoPath+"/v2/local/search/keyword.json", s.through(g, s.kakaoSearch))
	s.mux.HandleFunc(KakaoPath+"/", func(w http.ResponseWriter, _ *http.Request) {
		s.stats.misdirected("kakao")
		reply(w, http.StatusNotFound, object{"code": -1, "msg": "NOT_FOUND"})
	})
}

func kakaoLimit(w http.ResponseWriter, status int) {
	reply(w, status, object{"code": -10, "msg": "API limit has been exceeded."})
}

func (s *Server) kakaoKey(w http.ResponseWriter, r *http.Request) (string, bool) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "KakaoAK ")
	switch {
	case ok && slices.Contains(s.o.Keys.KakaoDisabled, key):
		s.kakaoError(w, http.StatusForbidden, -3, "NotAuthorizedError", "App(sim) disabled OPEN_MAP_AND_LOCAL service.")
	case !ok || key != s.o.Keys.Kakao:
		s.kakaoError(w, http.StatusUnauthorized, -401, "AccessDeniedError", "wrong appKey")
	default:
		return "kakao/1", true
	}
	return "", false
}

// kakaoError answers in one of the two styles.
func (s *Server) kakaoError(w http.ResponseWriter, status, code int, kind, message string) {
	if s.dice.hit(&s.dice.faults.Kakao.OldBodies) {
		reply(w, status, object{"code": code, "msg": message})
		return
	}
	reply(w, status, object{"errorType": kind, "message": message})
}

// kakaoQuery is a checked request.
type kakaoQuery struct {
	query, group string
	x, y         float64
	centre       bool
	radius       int
	rect         []float64
	page, size   int
	byDistance   bool
}

// parseKakao returns what is wrong with a request, or "".
func parseKakao(r *http.Request) (kakaoQuery, string) {
	v := r.URL.Query()
	q := kakaoQuery{query: strings.TrimSpace(v.Get("query")), group: v.Get("category_group_code")}
	if q.query == "" {
		return q, "query parameter required"
	}
	var ok bool
	if q.page, ok = number(v.Get("page"), 1); !ok || q.page < 1 || q.page > 45 {
		return q, "page is less than 1 or more than 45"
	}
	if q.size, ok = number(v.Get("size"), 15); !ok || q.size < 1 || q.size > 15 {
		return q, "size is less than 1 or more than 15"
	}
	if q.radius, ok = number(v.Get("radius"), 0); !ok || q.radius < 0 || q.radius > 20000 {
		return q, "radius is less than 0 or more than 20000"
	}
	if x, y := v.Get("x"), v.Get("y"); x != "" || y != "" {
		var errX, errY error
		q.x, errX = strconv.ParseFloat(x, 64)
		q.y, errY = strconv.ParseFloat(y, 64)
		if errX != nil || errY != nil {
			return q, "x or y is wrong"
		}
		q.centre = true
	}
	if rect := v.Get("rect"); rect != "" {
		for f := range strings.SplitSeq(rect, ",") {
			n, err := strconv.ParseFloat(f, 64)
			if err != nil {
				return q, "rect is wrong"
			}
			q.rect = append(q.rect, n)
		}
		if len(q.rect) != 4 {
			return q, "rect is wrong"
		}
	}
	switch v.Get("sort") {
	case "", "accuracy":
	case "distance":
		if !q.centre {
			return q, "sort by distance requires x and y"
		}
		q.byDistance = true
	default:
		return q, "sort is wrong"
	}
	return q, ""
}

func (q *kakaoQuery) admits(p *Place) bool {
	switch {
	case q.group != "" && p.kind.group != q.group:
	case q.centre && q.radius > 0 && metres(q.y, q.x, p.Lat, p.Lng) > float64(q.radius):
	case q.rect != nil && (p.Lng < q.rect[0] || p.Lat < q.rect[1] || p.Lng > q.rect[2] || p.Lat > q.rect[3]):
	default:
		return true
	}
	return false
}

func (s *Server) kakaoSearch(w http.ResponseWriter, r *http.Request) {
	if s.dice.hit(&s.dice.faults.Kakao.QuotaAs400) {
		kakaoLimit(w, http.StatusBadRequest)
		return
	}
	if s.dice.hit(&s.dice.faults.Kakao.QuotaAs429) {
		kakaoLimit(w, http.StatusTooManyRequests)
		return
	}
	q, wrong := parseKakao(r)
	if wrong != "" {
		kind := "InvalidArgument"
		if q.query == "" {
			kind = "MissingParameter"
		}
		s.kakaoError(w, http.StatusBadRequest, -2, kind, wrong)
		return
	}
	hits := slices.DeleteFunc(find(s.places, q.query), func(h hit) bool { return !q.admits(h.place) })
	if q.byDistance {
		slices.SortStableFunc(hits, func(a, b hit) int {
			return cmp.Compare(metres(q.y, q.x, a.place.Lat, a.place.Lng), metres(q.y, q.x, b.place.Lat, b.place.Lng))
		})
	}
	reachable := min(len(hits), 45)
	from := min((q.page-1)*q.size, reachable)
	to := min(from+q.size, reachable)
	documents := []object{}
	for _, h := range hits[from:to] {
		documents = append(documents, kakaoDocument(h.place, &q))
	}
	keyword, region := s.splitRegion(q.query)
	selected := ""
	if len(region) > 0 {
		selected = region[0]
	}
	reply(w, http.StatusOK, object{
		"documents": documents,
		"meta": object{
			"total_count": len(hits), "pageable_count": reachable, "is_end": to >= reachable,
			"same_name": object{"keyword": keyword, "region": region, "selected_region": selected},
		},
	})
}

var kakaoGroups = map[string]string{"FD6": "음식점", "CE7": "카페", "PK6": "주차장"}

func kakaoDocument(p *Place, q *kakaoQuery) object {
	short := func(full, unit string) string {
		full = strings.TrimSpace(strings.TrimSuffix(full, unit))
		if rest, ok := strings.CutPrefix(full, p.district.sido); ok && full != "" {
			return p.district.short + rest
		}
		return full
	}
	category := p.kind.kakao
	if p.branch != "" {
		category += " > " + p.brand
	}
	distance := ""
	if q.centre {
		distance = strconv.Itoa(int(metres(q.y, q.x, p.Lat, p.Lng)))
	}
	return object{
		"id": p.ID, "place_name": p.kakaoName, "category_name": category, "category_group_code": p.kind.group,
		"category_group_name": kakaoGroups[p.kind.group], "phone": p.Phone, "distance": distance,
		"address_name": short(p.Address, p.unit), "road_address_name": short(p.RoadAddress, p.unit),
		"x": strconv.FormatFloat(p.Lng, 'f', -1, 64), "y": strconv.FormatFloat(p.Lat, 'f', -1, 64),
		"place_url": "http://place.map.kakao.com/" + p.ID,
	}
}

// splitRegion is Kakao's own split of a query into a name and the regions that its other words mean.
func (s *Server) splitRegion(query string) (keyword string, region []string) {
	region = []string{}
	var rest []string
	for word := range strings.FieldsSeq(query) {
		n := len(region)
		for _, d := range s.world.districts {
			full := d.short + " " + d.sigungu
			if (word == d.short || slices.Contains(strings.Fields(d.sigungu), word) || slices.Contains(d.dongs, word) || slices.Contains(d.areas, word)) &&
				!slices.Contains(region, full) && len(region) < 10 {
				region = append(region, full)
			}
		}
		if len(region) == n {
			rest = append(rest, word)
		}
	}
	return strings.Join(rest, " "), region
}

// metres is the distance between two points, exact enough for a city.
func metres(lat1, lng1, lat2, lng2 float64) float64 {
	const radius, rad = 6_371_000, math.Pi / 180
	x := (lng2 - lng1) * rad * math.Cos((lat1+lat2)/2*rad)
	y := (lat2 - lat1) * rad
	return radius * math.Hypot(x, y)
}
