package sim

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Trouble is a mix of the faults that every run must survive without losing or doubling anything, each of the given
// probability.
func Trouble(rate float64) Faults {
	f := Often(rate)
	common := HTTPFaults{Throttle: f, Error500: f, HTML502: f, Cut: f, Truncate: f}
	return Faults{
		Instagram: InstagramFaults{HTTPFaults: common, EmptyPage: f, RepeatToken: f, RefuseToken: f},
		OpenAI: OpenAIFaults{
			HTTPFaults: common, RetryAfter: f, UploadLost: f, CreateLost: f, StateJump: f, Expires: f, CutDownload: f, CutLine: f,
			Refusal: f, Length: f, LineMissing: f, LineStatus0: f, LineError500: f, LineError429: f,
			WebhookLost: f, WebhookTwice: f, WebhookBadSignature: f, WebhookTwoSigned: f,
		},
		Naver: NaverFaults{HTTPFaults: common, NestedHub: f},
		Kakao: KakaoFaults{HTTPFaults: common, OldBodies: f},
		Velog: VelogFaults{HTTPFaults: common, Timeout: f, Internal: f, HalfCookie: f, BadCookie: f},
	}
}

// notForAll are the faults that AllFaults leaves out, with the reason.
var notForAll = map[string]string{
	"postappears":  "changes the world that runs are compared in",
	"postvanishes": "changes the world that runs are compared in",
	"katech":       "is another answer: the place has no coordinates then",
	"billed":       "a month's quota is waited for",
	"dayusedup":    "a day's quota is waited for",
	"quotaas400":   "a day's quota is waited for",
	"quotaas429":   "a day's quota is waited for",
	"quotaspent":   "waits for a person",
	"stuck":        "the batch never ends",
	"hidefromlist": "nobody could find the batch again",
	"lostuser":     "waits for a person",
	"nocookie":     "waits for a person: it is how a refresh token ends",
}

// AllFaults are all faults that a run survives by itself within minutes, each of the given probability.
func AllFaults(rate float64) Faults {
	var f Faults
	eachFault(&f, func(_, name string, fault *Fault) {
		if notForAll[name] == "" {
			*fault = Often(rate)
		}
	})
	return f
}

// SomeFaults are the named faults, each of the given probability: "cut" at every upstream that has it, "openai.cut" at one,
// "cut=0.5" with a probability of its own. The names are those of the fields of Faults in lower case.
func SomeFaults(rate float64, names ...string) (Faults, error) {
	var f Faults
	var known []string
	for _, named := range names {
		want, own, has := strings.Cut(strings.ToLower(named), "=")
		often, found := rate, false
		if has {
			var err error
			if often, err = strconv.ParseFloat(own, 64); err != nil || often < 0 || often > 1 {
				return f, fmt.Errorf("%q names no probability from 0 to 1", named)
			}
		}
		eachFault(&f, func(upstream, name string, fault *Fault) {
			if want == name || want == upstream+"."+name {
				*fault, found = Often(often), true
			}
			known = append(known, name)
		})
		if !found {
			slices.Sort(known)
			return f, fmt.Errorf("there is no fault %q; there are %s", want, strings.Join(slices.Compact(known), ", "))
		}
	}
	return f, nil
}

// eachFault calls do with every fault, its upstream and its name in lower case.
func eachFault(f *Faults, do func(upstream, name string, fault *Fault)) {
	all := reflect.ValueOf(f).Elem()
	for i := range all.NumField() {
		if all.Field(i).Kind() == reflect.Struct {
			faultsOf(all.Field(i), strings.ToLower(all.Type().Field(i).Name), do)
		}
	}
}

func faultsOf(v reflect.Value, upstream string, do func(upstream, name string, fault *Fault)) {
	for i := range v.NumField() {
		if fault, ok := v.Field(i).Addr().Interface().(*Fault); ok {
			do(upstream, strings.ToLower(v.Type().Field(i).Name), fault)
		} else {
			faultsOf(v.Field(i), upstream, do)
		}
	}
}
