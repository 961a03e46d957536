package web

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// linkForm is what is a link and no words: it has a scheme, or a host with a dot before its first slash.
var linkForm = regexp.MustCompile(`(?i)^(?:https?://|(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?/)\S*$`)

// linkIn finds the link in what a person has put in; "" when there are only words. What a map shares has words around its link.
func linkIn(words string) string {
	for part := range strings.FieldsSeq(words) {
		if linkForm.MatchString(part) && (part == words || strings.Contains(part, "://")) {
			return part
		}
	}
	return ""
}

// linkForms returns the forms in which a link may be known: with both schemes, with and without what people copy along with it. Where
// it is Kakao's the id of the place comes with it, else it is "".
func linkForms(link string) (all []string, finder, id string) {
	if !strings.Contains(link, "://") {
		link = "https://" + link
	}
	u, err := url.Parse(link)
	_, rest, _ := strings.Cut(link, "://")
	if err != nil || u.Host == "" || !strings.HasPrefix(rest, u.Host) {
		return nil, "", ""
	}
	host := strings.ToLower(u.Host)
	rest = host + rest[len(u.Host):]
	for _, end := range []string{"", "#", "?#"} {
		form := rest
		if i := strings.IndexAny(rest, end); i >= 0 {
			form = rest[:i]
		}
		form = strings.TrimRight(form, "/")
		for _, f := range []string{"http://" + form, "https://" + form, "http://" + form + "/", "https://" + form + "/"} {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	if host == "map.kakao.com" || strings.HasSuffix(host, ".map.kakao.com") {
		finder, id = "kakao", kakaoID(u)
	}
	return all, finder, id
}

// kakaoID is the id of the place that a link of Kakao's map leads to; "" when it leads to none.
func kakaoID(u *url.URL) string {
	if id := u.Query().Get("itemId"); number(id) {
		return id
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if number(part) {
			return part
		}
	}
	return ""
}

func number(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// webLink is a link to a page, "" for anything else.
func webLink(link string) string {
	if u, err := url.Parse(link); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		return link
	}
	return ""
}
