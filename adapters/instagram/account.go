package instagram

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var (
	userName = regexp.MustCompile(`^[a-z0-9_](?:[a-z0-9_.]{0,28}[a-z0-9_])?$`)
	// What stands where a user name would in the path of other pages.
	notUsers = regexp.MustCompile(`^(?:p|reel|reels|tv|stories|explore|accounts|direct|about|s|share)$`)
)

// Account returns the user name, in lower case, or the numeric id that s means: a name, @name or the URL of a profile.
// The error is a sentence for whoever wrote s.
func Account(s string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(s))
	if strings.Contains(name, "/") {
		var err error
		if name, err = fromURL(name); err != nil {
			return "", fmt.Errorf("%q is %w", s, err)
		}
	}
	name = strings.TrimPrefix(name, "@")
	if !userName.MatchString(name) || strings.Contains(name, "..") {
		return "", fmt.Errorf("%q is no Instagram account: a user name has up to 30 letters a-z, digits, dots and underscores", s)
	}
	return name, nil
}

func fromURL(s string) (string, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("no URL that can be read")
	}
	host := u.Hostname()
	if host != "instagram.com" && !strings.HasSuffix(host, ".instagram.com") {
		return "", errors.New("not a profile on instagram.com")
	}
	name, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if name == "" || notUsers.MatchString(name) {
		return "", errors.New("not the URL of a profile, which is https://www.instagram.com/NAME/")
	}
	return name, nil
}
