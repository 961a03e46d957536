package adapters_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sumbi/adapters"
)

func TestSecretsDoNotShow(t *testing.T) {
	t.Parallel()
	const word = "열쇠-4711"
	s := adapters.Secret(word)
	c := adapters.Credential{Values: map[string]string{"password": word}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("키", "secret", s, "credential", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("키", "secret", s, "credential", c)
	j, err := json.Marshal(map[string]any{"s": s, "in": struct{ S adapters.Secret }{s}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"log": log.String(), "json": string(j), "%v": fmt.Sprintf("%v %v", s, c), "%+v": fmt.Sprintf("%+v %+v", s, c), "%#v": fmt.Sprintf("%#v %#v", s, c), "%s": fmt.Sprintf("%s %s", s, c),
		"%q %x %d": fmt.Sprintf("%q %x %d", s, s, s),
		"in a struct": fmt.Sprintf("%+v", struct {
			S adapters.Secret
			C adapters.Credential
		}{s, c}),
	} {
		if strings.Contains(text, word) {
			t.Errorf("%s shows the secret: %s", name, text)
		}
	}
	if s.Reveal() != word {
		t.Errorf("Reveal gives %q", s.Reveal())
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	held := &adapters.Error{Kind: adapters.Throttled, After: time.Minute, Reason: adapters.ReasonQuota, Upstream: "naver", Err: io.EOF}
	for name, tt := range map[string]struct {
		err  error
		want *adapters.Error
	}{
		"nil":        {nil, nil},
		"plain":      {io.EOF, &adapters.Error{Kind: adapters.Temporary, Err: io.EOF}},
		"classified": {held, held},
		"wrapped":    {fmt.Errorf("네이버: %w", held), held},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := adapters.Classify(tt.err)
			if (got == nil) != (tt.want == nil) || (got != nil && *got != *tt.want) {
				t.Errorf("got %#v, want %#v", got, tt.want)
			}
		})
	}
	if got, want := held.Error(), "naver: EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(held, io.EOF) {
		t.Error("the cause is lost")
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	m := &adapters.Meter{}
	ctx := adapters.WithMeter(t.Context(), m)
	adapters.CountCall(ctx, "naver")
	adapters.CountCall(ctx, "kakao")
	adapters.CountCall(ctx, "naver")
	adapters.CountCall(t.Context(), "naver") // nobody counts
	if d := cmp.Diff(map[string]int{"naver": 2, "kakao": 1}, m.Calls()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func ExampleClassify() {
	err := fmt.Errorf("fetch page: %w", &adapters.Error{Kind: adapters.Throttled, After: 2 * time.Second, Err: errors.New("too many requests")})
	e := adapters.Classify(err)
	fmt.Println(e.Kind, e.After)
	// Output: throttled 2s
}
