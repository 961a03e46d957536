package web

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sumbi/jobs"
	"sumbi/queue"
)

const (
	mapPage     = 50  // places in a page of the list
	mapMentions = 20  // newest mentions that a place shows on the map
	mapReasons  = 5   // of those, the ones whose candidates are shown
	mapNamed    = 200 // dots whose names are asked for at a time
	mapTogether = 30  // places of one spot that are listed
)

// Tiles are the pictures under the places on the map. A browser asks for them, not sumbi.
type Tiles struct {
	Address        string // with {z}, {x} and {y}, and {s} for one of a, b and c; "" for none
	Attribution    string // whose they are
	AttributionURL string // where that leads; "" nowhere
}

var tileOrigin = regexp.MustCompile(`^(https?://)(\{s\}\.)?([a-zA-Z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]+)?/`)

// origin is where pictures may come from, as a content policy says it.
func (t Tiles) origin() string {
	m := tileOrigin.FindStringSubmatch(t.Address)
	if m == nil {
		return ""
	}
	any := ""
	if m[2] != "" {
		any = "*."
	}
	return m[1] + any + m[3] + m[4]
}

func (s *Server) mapRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /map", s.mapView)
	mux.HandleFunc("GET /map/list", s.mapList)
	mux.HandleFunc("GET /map/points", s.mapPoints)
	mux.HandleFunc("GET /map/at", s.mapAt)
	mux.HandleFunc("GET /map/place/{id}", s.mapPlace)
	mux.HandleFunc("GET /map/names", s.mapNames)
	mux.HandleFunc("GET /map.csv", s.mapFile("text/csv; charset=utf-8", mapCSV))
	mux.HandleFunc("GET /map.geojson", s.mapFile("application/geo+json", jobs.PlacesGeoJSON))
}

// mapFilterOf reads the filter in the address of a request. What is no day or no answer is left out.
func mapFilterOf(q url.Values) mapFilter {
	f := mapFilter{Account: q.Get("account"), Category: q.Get("category"), Area: q.Get("area"), Query: strings.TrimSpace(q.Get("q")), From: q.Get("from"), To: q.Get("to"), Ad: q.Get("ad")}
	for _, d := range []*string{&f.From, &f.To} {
		if _, err := time.Parse(time.DateOnly, *d); err != nil {
			*d = ""
		}
	}
	if f.Ad != "yes" && f.Ad != "no" {
		f.Ad = ""
	}
	return f
}

// values is the filter as an address has it.
func (f mapFilter) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"account": f.Account, "category": f.Category, "area": f.Area, "q": f.Query, "from": f.From, "to": f.To, "ad": f.Ad} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// Address is path with the filter, and more that is given in pairs.
func (f mapFilter) Address(path string, more ...string) string {
	v := f.values()
	for i := 0; i < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// Some reports whether the filter leaves anything out.
func (f mapFilter) Some() bool { return f != mapFilter{} }

// mapBoxOf reads the part of the map that is looked at, "south,west,north,east" in degrees.
func mapBoxOf(text string) mapBox {
	parts := strings.Split(text, ",")
	if len(parts) != 4 {
		return mapBox{}
	}
	var n [4]int32
	for i, p := range parts {
		f, err := strconv.ParseFloat(p, 64)
		if err != nil || math.IsNaN(f) {
			return mapBox{}
		}
		n[i] = int32(math.Round(min(max(f, -1000), 1000) * degree))
	}
	return mapBox{n[0], n[1], n[2], n[3]}
}

// mapPageData is what the view shows.
type mapPageData struct {
	Filter                      mapFilter
	Accounts, Categories, Areas []mapChoice
	List                        mapListData
	Panel                       *mapPanel
	Tiles                       Tiles
}

// mapListData is the list beside the map.
type mapListData struct {
	Filter     mapFilter
	Box        string // as it was asked for
	All        int    // places that the filter leaves
	Found      int    // of them in the box
	Unplaced   int    // of All, without a position
	Rows       []mapRow
	From       int // the number of the first row, from 1
	Prev, Next int // pages; 0 for none
}

// Page is the address of a page of the list.
func (l mapListData) Page(n int) string {
	more := []string{"page", strconv.Itoa(n)}
	if l.Box != "" {
		more = append(more, "box", l.Box)
	}
	return l.Filter.Address("/map", more...)
}

type mapRow struct {
	ID, Name, Category, Area string
	Lat, Lng                 float64
	Placed                   bool
	Posts                    int
	Newest                   time.Time
}

func (x *mapIndex) row(i int32) mapRow {
	p := &x.places[i]
	return mapRow{
		ID: p.id(), Name: p.shown(), Category: strings.ReplaceAll(x.category.texts[p.category], ">", " › "), Area: x.area.texts[p.area], Lat: float64(p.lat) / degree, Lng: float64(p.lng) / degree, Placed: p.placed(),
		Posts: int(p.posts), Newest: time.Unix(int64(p.newest), 0),
	}
}

// list returns a page of the places that a filter leaves.
func (x *mapIndex) list(q url.Values) mapListData {
	l := mapListData{Filter: mapFilterOf(q)}
	box := mapBoxOf(q.Get("box"))
	if box != (mapBox{}) {
		l.Box = q.Get("box")
	}
	page, _ := strconv.Atoi(q.Get("page"))
	page = min(max(page, 1), 1+len(x.ranked)/mapPage)
	chosen := x.chosen(l.Filter, x.ranked)
	l.All, l.From = len(chosen), (page-1)*mapPage+1
	for _, i := range chosen {
		if !x.places[i].placed() {
			l.Unplaced++
		}
		if !box.holds(&x.places[i]) {
			continue
		}
		if l.Found++; l.Found >= l.From && l.Found < l.From+mapPage {
			l.Rows = append(l.Rows, x.row(i))
		}
	}
	l.Prev = page - 1
	if l.Found >= l.From+mapPage {
		l.Next = page + 1
	}
	return l
}

// mapView shows the map with the list beside it, and a place when the address names one.
func (s *Server) mapView(w http.ResponseWriter, r *http.Request) {
	x, err := s.mapPlaces(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	q := r.URL.Query()
	d := mapPageData{Filter: mapFilterOf(q), Accounts: x.accounts, Categories: x.categories, Areas: x.areas, List: x.list(q), Tiles: s.Tiles}
	if id := q.Get("place"); id != "" {
		p, err := s.mapPanelOf(r, id)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			s.broken(w, r, err)
			return
		}
		d.Panel = p
	}
	s.render(w, r, http.StatusOK, "map", say("Map"), d)
}

func (s *Server) mapList(w http.ResponseWriter, r *http.Request) {
	x, err := s.mapPlaces(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.fragment(w, r, "map-list", x.list(r.URL.Query()))
}

// mapPoints answers with the positions of the places that the filter leaves: hundred-thousandths of a degree, latitude and
// longitude in turn, each as its distance from the one before.
func (s *Server) mapPoints(w http.ResponseWriter, r *http.Request) {
	x, err := s.mapPlaces(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Add("Vary", "Accept-Encoding")
	out := bufio.NewWriter(w)
	defer func() { _ = out.Flush() }() // an error means that the visitor has gone
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is good
		defer func() { _ = z.Close() }()
		out.Reset(z)
		defer func() { _ = out.Flush() }()
	}
	var b []byte
	_, _ = out.WriteString(`{"points":[`)
	var lat, lng int32
	for n, i := range x.chosen(mapFilterOf(r.URL.Query()), x.near) {
		p := &x.places[i]
		b = b[:0]
		if n > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(p.lat-lat), 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, int64(p.lng-lng), 10)
		_, _ = out.Write(b)
		lat, lng = p.lat, p.lng
	}
	_, _ = out.WriteString("]}\n")
}

// mapTogetherData are the places of one spot.
type mapTogetherData struct {
	Filter mapFilter
	Rows   []mapRow
	More   int
}

// mapAt answers with the one place at a position, or with a list of those that share it.
func (s *Server) mapAt(w http.ResponseWriter, r *http.Request) {
	x, err := s.mapPlaces(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	q := r.URL.Query()
	lat, errLat := strconv.Atoi(q.Get("lat"))
	lng, errLng := strconv.Atoi(q.Get("lng"))
	if errLat != nil || errLng != nil {
		s.fail(w, r, http.StatusBadRequest, say("This is not a position."), say("Go back to the map and choose a place."))
		return
	}
	d := mapTogetherData{Filter: mapFilterOf(q)}
	for _, i := range x.chosen(d.Filter, x.ranked) {
		p := &x.places[i]
		if int(p.lat) != lat || int(p.lng) != lng || !p.placed() {
			continue
		}
		if len(d.Rows) == mapTogether {
			d.More++
			continue
		}
		d.Rows = append(d.Rows, x.row(i))
	}
	if len(d.Rows) != 1 {
		s.fragment(w, r, "map-together", d)
		return
	}
	s.panel(w, r, d.Rows[0].ID)
}

// mapNames answers with what is at the positions that a script shows a dot for: latitude, longitude and name, in turn.
func (s *Server) mapNames(w http.ResponseWriter, r *http.Request) {
	x, err := s.mapPlaces(r.Context())
	if err != nil {
		s.broken(w, r, err)
		return
	}
	q := r.URL.Query()
	numbers := strings.SplitN(q.Get("at"), ",", 2*mapNamed+1)
	type spot struct{ lat, lng int32 }
	wanted := map[spot]bool{}
	for i := 0; i+1 < min(len(numbers), 2*mapNamed); i += 2 {
		lat, errLat := strconv.ParseInt(numbers[i], 10, 32)
		lng, errLng := strconv.ParseInt(numbers[i+1], 10, 32)
		if errLat == nil && errLng == nil {
			wanted[spot{int32(lat), int32(lng)}] = true
		}
	}
	names := []any{}
	for _, i := range x.chosen(mapFilterOf(q), x.ranked) {
		p := &x.places[i]
		if at := (spot{p.lat, p.lng}); wanted[at] {
			names = append(names, p.lat, p.lng, p.shown())
			delete(wanted, at) // the first one stands for those at the same spot
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"names": names}) // an error means that the visitor has gone
}

// mapPlace shows one place: as a part of the page for a script, else on the map.
func (s *Server) mapPlace(w http.ResponseWriter, r *http.Request) {
	if !scripted(r) {
		http.Redirect(w, r, mapFilterOf(r.URL.Query()).Address("/map", "place", r.PathValue("id")), http.StatusSeeOther)
		return
	}
	s.panel(w, r, r.PathValue("id"))
}

func (s *Server) panel(w http.ResponseWriter, r *http.Request, id string) {
	p, err := s.mapPanelOf(r, id)
	if err != nil {
		s.broken(w, r, err)
		return
	}
	s.fragment(w, r, "map-place", p)
}

// mapPanel is what the map tells of a place.
type mapPanel struct {
	Filter   mapFilter
	ID, Name string
	Path     string // of the place
	Category string
	Address  string
	Lot      string // the address by lot, where there is one by road, too
	Phone    string
	Link     string
	Finder   string
	Lat, Lng float64
	All      int // mentions
	Mentions []mapSaid
}

// mapSaid is what a post says of a place, and why the place was chosen.
type mapSaid struct {
	Account, URL      string
	Path, AccountPath string // of the post and the account
	At                time.Time
	Name              string // as written
	Quote             string
	Menu              []mapDish
	Ad                bool
	Score             float64
	Why               []reason
	ByHand            bool
	Candidates        []mapCandidate
}

// mapCandidate is a shop that could have been chosen.
type mapCandidate struct {
	queue.Option
	Reasons []reason
}

type mapDish struct {
	Name  string
	Price int64 // won
	Known bool
}

func (s *Server) mapPanelOf(r *http.Request, id string) (*mapPanel, error) {
	pm, all, err := s.Store.PlaceNewest(r.Context(), id, mapMentions)
	if err != nil {
		return nil, err
	}
	d, err := jobs.Document(pm)
	if err != nil {
		return nil, err
	}
	p := &mapPanel{
		Filter: mapFilterOf(r.URL.Query()), ID: id, Name: pm.Name, Path: placePath(id), Category: strings.ReplaceAll(pm.Category, ">", " › "), Address: pm.Road, Lot: pm.Address, Phone: pm.Phone, Link: pm.Link, Finder: pm.Finder,
		Lat: pm.Lat, Lng: pm.Lng, All: all,
	}
	if !strings.HasPrefix(p.Link, "https://") && !strings.HasPrefix(p.Link, "http://") {
		p.Link = ""
	}
	if p.Address == "" {
		p.Address, p.Lot = pm.Address, ""
	}
	lang := language(r)
	for i, m := range d.Mentions {
		q := pm.Mentions[i]
		said := mapSaid{
			Account: m.Account, URL: m.URL, At: q.Record.Time, Name: m.Name, Quote: m.Quote, Ad: m.Ad, Score: q.Score, Why: reasons(lang, q.Reason), ByHand: q.Label != 0,
			Path: postPath(q.Record.Stream, q.Record.Key), AccountPath: accountPath(q.Record.Pipeline, m.Account),
		}
		for _, dish := range m.Menu {
			md := mapDish{Name: dish.Name}
			if dish.Price != nil {
				md.Price, md.Known = *dish.Price, true
			}
			said.Menu = append(said.Menu, md)
		}
		if i < mapReasons {
			options, _, err := s.Store.Options(r.Context(), q.ID)
			if err != nil && !errors.Is(err, queue.ErrNotFound) {
				return nil, err
			}
			for _, o := range options {
				said.Candidates = append(said.Candidates, mapCandidate{o, reasons(lang, o.Why)})
			}
		}
		p.Mentions = append(p.Mentions, said)
	}
	return p, nil
}

// mapCSV is jobs.PlacesCSV with a mark in front by which Excel knows UTF-8.
func mapCSV(w io.Writer) jobs.PlaceWriter {
	_, _ = io.WriteString(w, "\ufeff") // what is written to keeps its error
	return jobs.PlacesCSV(w)
}

// mostFiles is how many files are sent at a time: each reads the state all the while.
const mostFiles = 2

// mapFile answers with the places that the filter leaves as a file. They are read one after the other while they are sent.
func (s *Server) mapFile(kind string, format func(w io.Writer) jobs.PlaceWriter) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := "places" + r.URL.Path[strings.LastIndexByte(r.URL.Path, '.'):]
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		if r.Method == http.MethodHead {
			return
		}
		if s.files.Add(1) > mostFiles {
			s.files.Add(-1)
			w.Header().Del("Content-Disposition")
			w.Header().Set("Retry-After", "30")
			http.Error(w, "others are being sent such files; try again in half a minute", http.StatusServiceUnavailable)
			return
		}
		defer s.files.Add(-1)
		x, err := s.mapPlaces(r.Context())
		if err != nil {
			w.Header().Del("Content-Disposition")
			s.broken(w, r, err)
			return
		}
		chosen := x.chosen(mapFilterOf(r.URL.Query()), x.byID)
		control := http.NewResponseController(w)
		out := bufio.NewWriterSize(w, 64<<10)
		places := format(out)
		for n, i := range chosen {
			if n%100 == 0 {
				_ = control.SetWriteDeadline(time.Now().Add(30 * time.Second)) // not every writer has one
			}
			if err := s.writePlace(r, places, x.places[i].id()); err != nil {
				s.brokenOff(r, err)
				// What is sent looks whole unless the connection ends in the middle.
				panic(http.ErrAbortHandler)
			}
		}
		if err := errors.Join(places.Close(), out.Flush()); err != nil {
			s.brokenOff(r, err)
		}
	}
}

func (s *Server) brokenOff(r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.Log.Warn("places could not be sent", "path", r.URL.Path, "err", err)
	}
}

// writePlace writes one place, unless nobody names it any more.
func (s *Server) writePlace(r *http.Request, w jobs.PlaceWriter, id string) error {
	p, err := s.Store.Place(r.Context(), id)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	d, err := jobs.Document(p)
	if err != nil {
		return fmt.Errorf("place %s: %w", id, err)
	}
	return w.Write(d)
}
