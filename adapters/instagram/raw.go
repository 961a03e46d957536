package instagram

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sumbi/adapters"
)

// Normalise reads the Raw of an earlier record again, as list showed it then. It gives the record that Fetch would give for
// that item now, and makes no request.
func (*Source) Normalise(list string, raw json.RawMessage) (adapters.Record, error) {
	if !json.Valid(raw) {
		return adapters.Record{}, errors.New("the kept item is no JSON")
	}
	it, ok := readItem(cut(raw))
	if !ok {
		return adapters.Record{}, errors.New("the kept item has no id")
	}
	return it.record(list), nil
}

// record makes a record of an item that a list showed.
func (it *item) record(list string) adapters.Record {
	return adapters.Record{
		Stream: StreamPost, Key: it.key, Time: it.time(), Owner: it.owner(), Pinned: it.pinned(), Data: it.post(list).encode(), Raw: it.raw,
	}
}

// readItem reads what is kept of an item, and nothing else, so that the same can be read again. It returns false when the
// item has no id.
func readItem(raw json.RawMessage) (item, bool) {
	it := item{raw: raw}
	_ = json.Unmarshal(raw, &it) // what has another type than expected is left out
	return it, it.identify()
}

// cut returns a copy of an item without what expires and without white space. item is valid JSON.
func cut(item json.RawMessage) json.RawMessage {
	raw, _ := trim(make([]byte, 0, min(len(item), usualRaw)), item)
	return slices.Clip(raw)
}

// usualRaw is what a kept item needs at most, usually.
const usualRaw = 4 << 10

// What of an item expires, by the name of the member: addresses of media, manifests, pictures of profiles, tokens. Names are
// compared in lower case with underscores, so that videoUrl is video_url.
var (
	fleetingStarts = []string{
		"image_versions", "video_versions", "image_candidates", "profile_pic", "hd_profile_pic", "display_resources", "thumbnail_resources",
		"scrubber_spritesheet", "sprite",
	}
	fleetingEnds = []string{"url", "urls", "uri", "uris", "token", "tokens", "manifest", "srcset"} // whole, or behind an underscore
)

// Whether an address leads to media or is signed for a time, below whatever name it stands.
var (
	mediaHost = regexp.MustCompile(`^(?i:https?:)?//[^/?#]*(?i:cdn|scontent|akamai|cloudfront|amazonaws|googleusercontent)`)
	mediaPath = regexp.MustCompile(`^[^?#]*\.(?i:jpe?g|png|webp|heic|avif|gif|mp4|m4a|mp3|webm|mov|m3u8|mpd|vtt|srt)(?:[?#]|$)`)
	signed    = regexp.MustCompile(`^[^?#]*\?(?:.*[&;])?(?i:oe|oh|_nc_\w+|expires?|signature|sig|x-amz-\w+|\w*token|hmac|policy)=`)
)

// expires reports whether a member is left out of what is kept; src begins with its value.
func expires(name, src []byte) bool {
	switch string(name) {
	case "text", "hashtags", "mentions", "name", "short_name", "address", "city", "username", "full_name", "title", "id", "pk", "code":
		return false // what people wrote is kept whatever it looks like, and so is what identifies the post
	case "url", "uri", "link", "href", "external_url":
		return fleeting(src) // may also be what the post leads to
	}
	for _, s := range fleetingStarts {
		if len(name) >= len(s) && string(name[:len(s)]) == s {
			return true
		}
	}
	for _, s := range fleetingEnds {
		n := len(name) - len(s)
		if n >= 0 && string(name[n:]) == s && (n == 0 || name[n-1] == '_') {
			return true
		}
	}
	return fleeting(src)
}

// fleeting reports whether the value at the beginning of src is an address of media, or one that is signed for a time.
func fleeting(src []byte) bool {
	if len(src) < 3 || src[0] != '"' || (src[1] != 'h' && src[1] != 'H' && src[1] != '/' && src[1] != '\\') {
		return false
	}
	var s string
	if json.Unmarshal(src[:scalar(src)], &s) != nil || strings.ContainsFunc(s, unicode.IsSpace) {
		return false
	}
	if !strings.HasPrefix(s, "//") && (len(s) < 4 || !strings.EqualFold(s[:4], "http")) {
		return false
	}
	return mediaHost.MatchString(s) || mediaPath.MatchString(s) || signed.MatchString(s)
}

// memberName is a member's name as the rules compare it.
func memberName(quoted []byte) []byte {
	name := quoted[1 : len(quoted)-1]
	if !bytes.ContainsFunc(name, func(r rune) bool { return r == '\\' || unicode.IsUpper(r) }) {
		return name
	}
	var s string
	_ = json.Unmarshal(quoted, &s)
	var b []byte
	lower := false
	for _, r := range s {
		if unicode.IsUpper(r) && lower {
			b = append(b, '_')
		}
		lower = unicode.IsLower(r) || unicode.IsDigit(r)
		b = utf8.AppendRune(b, unicode.ToLower(r))
	}
	return b
}

// trim appends to dst the value at the beginning of src without white space and without what expires, and returns dst and
// what follows the value in src. src is valid JSON.
func trim(dst, src []byte) (out, rest []byte) {
	src = space(src)
	switch src[0] {
	case '{':
		return trimObject(dst, src[1:])
	case '[':
		return trimArray(dst, src[1:])
	}
	n := scalar(src)
	return append(dst, src[:n]...), src[n:]
}

func trimObject(dst, src []byte) (out, rest []byte) {
	dst = append(dst, '{')
	first := true
	for {
		if src = space(src); src[0] == '}' {
			return append(dst, '}'), src[1:]
		}
		if src[0] == ',' {
			src = space(src[1:])
		}
		n := scalar(src)
		name := src[:n]
		src = space(space(src[n:])[1:]) // past the colon
		if expires(memberName(name), src) {
			src = src[size(src):]
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, name...), ':')
		dst, src = trim(dst, src)
	}
}

func trimArray(dst, src []byte) (out, rest []byte) {
	dst = append(dst, '[')
	first := true
	for {
		if src = space(src); src[0] == ']' {
			return append(dst, ']'), src[1:]
		}
		if src[0] == ',' {
			src = space(src[1:])
		}
		if fleeting(src) {
			src = src[scalar(src):]
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst, src = trim(dst, src)
	}
}

// space skips white space.
func space(src []byte) []byte {
	for len(src) > 0 && (src[0] == ' ' || src[0] == '\n' || src[0] == '\t' || src[0] == '\r') {
		src = src[1:]
	}
	return src
}

// scalar is the length of the string, number or word at the beginning of src.
func scalar(src []byte) int {
	if src[0] == '"' {
		for i := 1; ; i++ {
			switch src[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
	}
	for i, c := range src {
		switch c {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return len(src)
}

// size is the length of the value at the beginning of src.
func size(src []byte) int {
	if src[0] != '{' && src[0] != '[' {
		return scalar(src)
	}
	depth := 0
	for i := 0; ; {
		switch src[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			i += scalar(src[i:])
			continue
		}
		i++
	}
}
