package web

import (
	"regexp"
	"strings"
)

// reason is one part of why something was decided, in the visitor's language.
type reason struct {
	Text string
	Sign string // "for" or "against" the candidate; "" neither
}

// decided is what a reason begins with: what was decided. What stands behind it is about the best candidate.
var decided = []string{
	say("chosen"), say("two candidates fit about equally"), say("not certain enough"), say("no candidate fits; the best"),
}

// reasonSigns is every fixed part of a reason, and what it speaks for.
var reasonSigns = map[string]string{
	say("the mention has no name"):  "",
	say("the search found nothing"): "",
	say("decided by a person"):      "",
	say("dropped by hand"):          "",
	say("not a restaurant"):         "against",

	say("name equal"):                                          "for",
	say("name equal without the place in it"):                  "for",
	say("name equal when read aloud"):                          "for",
	say("name equal without a common word"):                    "for",
	say("name equal to some of the words"):                     "for",
	say("distinct part of the name equal"):                     "for",
	say("one name within the other"):                           "for",
	say("name almost equal"):                                   "for",
	say("name similar"):                                        "",
	say("name hardly similar"):                                 "against",
	say("only a piece of the name equal"):                      "against",
	say("name different"):                                      "against",
	say("no branch asked, is the main shop"):                   "for",
	say("road address equal"):                                  "for",
	say("road address equal but for the part behind the dash"): "for",
	say("road address differs by 1 number"):                    "",
	say("same road, far apart"):                                "against",
	say("same road"):                                           "",
	say("another road"):                                        "against",
	say("lot address equal"):                                   "for",
	say("lot address equal but for the part behind the dash"):  "for",
	say("same dong, another lot"):                              "",
	say("same district"):                                       "",
	say("same province"):                                       "",
	say("another dong"):                                        "against",
	say("another district"):                                    "against",
	say("another province"):                                    "against",
	say("addresses cannot be compared"):                        "",
	say("in the area"):                                         "for",
	say("in the district of the area"):                         "for",
	say("in the city"):                                         "",
	say("in the wider area"):                                   "",
	say("another dong of the district"):                        "",
	say("area unknown"):                                        "",
	say("area perhaps elsewhere"):                              "against",
	say("area is elsewhere"):                                   "against",
	say("at the location tag"):                                 "for",
	say("within 600 m of the location tag"):                    "for",
	say("within 3 km of the location tag"):                     "",
	say("far from the location tag"):                           "against",
	say("location tag has its name"):                           "for",
	say("location tag names another branch"):                   "against",
	say("category is not food"):                                "against",
	say("menu fits"):                                           "for",
	say("menu is of another kind"):                             "against",
	say("another fits as well"):                                "",
	say("another fits better"):                                 "against",
	say("another fits far better"):                             "against",
	say("another shop has the name too"):                       "against",
}

// reasonForms are the parts of a reason that have a name or a figure in them. The first that fits counts.
var reasonForms = []struct {
	form       *regexp.Regexp
	text, sign string
}{
	{regexp.MustCompile(`^branch (.+) equal$`), say("branch %s equal"), "for"},
	{regexp.MustCompile(`^branch (.+) against (.+), equal in part$`), say("branch %s against %s, equal in part"), "for"},
	{regexp.MustCompile(`^branch (.+) against (.+), at the same place$`), say("branch %s against %s, at the same place"), ""},
	{regexp.MustCompile(`^branch (.+) against (.+), fits the address$`), say("branch %s against %s, fits the address"), "for"},
	{regexp.MustCompile(`^branch (.+) against (.+), is elsewhere$`), say("branch %s against %s, is elsewhere"), "against"},
	{regexp.MustCompile(`^branch (.+) against none$`), say("branch %s against none"), ""},
	{regexp.MustCompile(`^branch (.+) against (.+)$`), say("branch %s against %s"), "against"},
	{regexp.MustCompile(`^no branch asked, is (.+), which fits the area$`), say("no branch asked, is %s, which fits the area"), "for"},
	{regexp.MustCompile(`^no branch asked, is (.+)$`), say("no branch asked, is %s"), ""},
	{regexp.MustCompile(`^road address differs by (\d+) numbers$`), say("road address differs by %s numbers"), ""},
}

// reasons puts why something was decided into a language. What is not known stays as it is.
func reasons(lang, text string) []reason {
	if text == "" {
		return nil
	}
	var all []reason
	for _, d := range decided {
		if rest, ok := strings.CutPrefix(text, d+": "); ok {
			all, text = append(all, reason{Text: word(lang, d)}), rest
			break
		}
	}
	for part := range strings.SplitSeq(text, "; ") {
		all = append(all, reasonOf(lang, part))
	}
	return all
}

func reasonOf(lang, part string) reason {
	if sign, ok := reasonSigns[part]; ok {
		return reason{word(lang, part), sign}
	}
	for _, f := range reasonForms {
		m := f.form.FindStringSubmatch(part)
		if m == nil {
			continue
		}
		args := make([]any, len(m)-1)
		for i, a := range m[1:] {
			args[i] = a
			if a == "none" {
				args[i] = word(lang, "none")
			}
		}
		return reason{word(lang, f.text, args...), f.sign}
	}
	return reason{Text: part}
}
