package instagram

import (
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	idEpoch    = 1314220021721 // milliseconds: the zero of the clock within a media id
	idClockBit = 23
	codeLen    = 11 // letters of 6 bits for 64; the codes of private posts go on behind
)

var (
	hashtagText = regexp.MustCompile(`[##]([\p{L}\p{M}\p{N}_]+)`)
	mentionText = regexp.MustCompile(`(?:^|[^\w.@])@(\w(?:[\w.]*\w)?)`)
)

// identify finds the media id in id, pk or code, and completes the code. It returns false when the item has none of them.
func (it *item) identify() bool {
	id, _, _ := strings.Cut(it.ID.text, "_")
	for _, text := range []string{id, it.PK.text} {
		if pk, err := strconv.ParseUint(text, 10, 64); err == nil && pk > 0 {
			it.key = strconv.FormatUint(pk, 10)
			if it.Code.text == "" {
				it.Code.text = codeOf(pk)
			}
			return true
		}
	}
	pk, ok := pkOf(it.Code.text)
	if ok {
		it.key = strconv.FormatUint(pk, 10)
	}
	return ok
}

// time is when the post was published; without a time of its own, that of the clock within its id.
func (it *item) time() time.Time {
	for _, n := range []number{it.TakenAt, it.TakenAtTS} {
		if s := n.or(0); s > 0 && s < 1<<35 {
			return unix(s)
		}
	}
	pk, err := strconv.ParseUint(it.key, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(pk>>idClockBit) + idEpoch).UTC()
}

// pinned believes any of the three signs: none of them is always there.
func (it *item) pinned() bool {
	return bool(it.IsPinned) || len(it.GridPins) > 0 || len(it.ReelPins) > 0
}

func (it *item) owner() string {
	if it.User.Username.text != "" {
		return it.User.Username.text
	}
	return it.Owner.Username.text
}

// belongsTo reports whether its author has that id, or where the item shows no id, that name.
func (it *item) belongsTo(id, name string) bool {
	for _, u := range []user{it.User, it.Owner} {
		if u.ID.text != "" {
			return u.ID.text == id
		}
	}
	return it.owner() != "" && strings.EqualFold(it.owner(), name)
}

// post brings the item into the form that pipelines read.
func (it *item) post(list string) *Post {
	p := &Post{
		ID:        it.key,
		Code:      it.Code.text,
		URL:       "https://www.instagram.com/p/" + it.Code.text + "/",
		Account:   it.owner(),
		Caption:   it.Caption.Text.text,
		Edited:    bool(it.Edited),
		Hashtags:  marked(it.Caption.Hashtags, "##", hashtagText, it.Caption.Text.text),
		Mentions:  marked(it.Caption.Mentions, "@", mentionText, it.Caption.Text.text),
		Kind:      it.kind(list),
		Paid:      bool(it.Paid),
		Location:  it.Location.place(),
		Tagged:    it.Tagged.names(),
		Coauthors: it.Coauthors.names(),
		Comments:  count(it.Metrics.Comments, it.Comments),
	}
	if !it.HideCounts {
		p.Likes = count(it.Metrics.Likes, it.Likes)
		p.Plays = count(it.Metrics.Plays, it.Plays, it.IGPlays, it.Metrics.Views, it.Views)
	}
	return p
}

// kind trusts the upstream's own word first. is_video is no help: it is false for albums that begin with a video.
func (it *item) kind(list string) string {
	switch name := it.MediaName.text; name {
	case KindPost, KindReel, KindAlbum:
		return name
	}
	switch {
	case it.Product.text == "carousel_container" || it.MediaType.or(0) == 8:
		return KindAlbum
	case it.Product.text == "clips" || (list == ListReels && it.Product.text == ""):
		return KindReel
	default:
		return KindPost
	}
}

// place is nil when the location has no name.
func (l *location) place() *Location {
	name := l.Name.text
	if name == "" {
		name = l.ShortName.text
	}
	if name == "" {
		return nil
	}
	p := &Location{Name: name, Address: l.Address.text, City: l.City.text}
	lat, lng := l.Lat.value, l.Lng.value
	if l.Lat.known && l.Lng.known && (lat != 0 || lng != 0) && max(lat, -lat) <= 90 && max(lng, -lng) <= 180 {
		p.Lat, p.Lng = &lat, &lng
	}
	return p
}

// count returns the first number that is known and not negative.
func count(ns ...number) *int64 {
	for _, n := range ns {
		if v := n.or(-1); v >= 0 {
			return &v
		}
	}
	return nil
}

// marked returns the upstream's list without its signs; where there is no list, what the text holds.
func marked(list bunch, signs string, in *regexp.Regexp, text string) []string {
	out := []string{}
	if list != nil {
		for _, w := range list.words() {
			out = add(out, strings.TrimLeft(strings.TrimSpace(w), signs))
		}
		return out
	}
	for _, m := range in.FindAllStringSubmatch(text, -1) {
		out = add(out, m[1])
	}
	return out
}

func add(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// codeOf writes a media id as a short code: base64url without the leading zeros.
func codeOf(pk uint64) string {
	b := binary.BigEndian.AppendUint64([]byte{0}, pk) // 9 bytes are 12 letters
	return strings.TrimLeft(base64.RawURLEncoding.EncodeToString(b), "A")
}

// pkOf reads a short code. The second result is false when it is none.
func pkOf(code string) (uint64, bool) {
	code = code[:min(len(code), codeLen)]
	b, err := base64.RawURLEncoding.DecodeString(strings.Repeat("A", codeLen+1-len(code)) + code)
	if err != nil || b[0] != 0 {
		return 0, false
	}
	pk := binary.BigEndian.Uint64(b[1:])
	return pk, pk > 0
}
