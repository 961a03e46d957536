package config

import (
	"fmt"
	"math"
	"time"
)

// A field is one key of the file: where its value goes, and what is wrong with a value once it is there.
type field struct {
	key   string
	dst   any // *string, *bool, *int, *int64, *float64, *time.Duration, *[]string or *bytes
	check func() string
}

// bytes is a size that people write as 1048576 or "190MiB".
type bytes int64

// A section is a table of the file; the one without a name is the top.
type section struct {
	name   string
	fields []field
}

// sections binds every key outside [[pipeline]] and [[price]] to its place in c.
func (c *Config) sections() []section {
	ig, ai, nv, kk, vl, mg, q := &c.Instagram, &c.OpenAI, &c.Naver, &c.Kakao, &c.Velog, &c.Mongo, &c.Queue
	return []section{
		{"", []field{
			{"state", &c.State, func() string { return stateFile(c.State) }},
			{"listen", &c.Listen, nil},
			{"allow_private", &c.AllowPrivate, nil},
		}},
		{"instagram", []field{
			{"base_url", &ig.BaseURL, baseURL(&ig.BaseURL)},
			{"host", &ig.Host, filled(&ig.Host)},
			{"per_second", &ig.PerSecond, rate(&ig.PerSecond)},
			{"timeout", &ig.Timeout, positive(&ig.Timeout)},
			{"price", &ig.Price, requestPrice(&ig.Price)},
		}},
		{"openai", []field{
			{"base_url", &ai.BaseURL, baseURL(&ai.BaseURL)},
			{"model", &ai.Model, filled(&ai.Model)},
			{"timeout", &ai.Timeout, positive(&ai.Timeout)},
			{"poll", &ai.Poll, positive(&ai.Poll)},
			{"max_wait", &ai.MaxWait, notNegative(&ai.MaxWait)},
			{"settle", &ai.Settle, notNegative(&ai.Settle)},
			{"enqueued_tokens", &ai.EnqueuedTokens, within(&ai.EnqueuedTokens, 1, math.MaxInt64)},
			{"attempts", &ai.Attempts, within(&ai.Attempts, 1, 100)},
			{"max_lines", &ai.MaxLines, within(&ai.MaxLines, 1, batchLines)},
			{"max_bytes", (*bytes)(&ai.MaxBytes), within(&ai.MaxBytes, 1<<10, batchBytes)},
		}},
		{"naver", []field{
			{"dialect", &nv.Dialect, oneOf(&nv.Dialect, dialects())},
			{"base_url", &nv.BaseURL, baseURL(&nv.BaseURL)},
			{"per_second", &nv.PerSecond, rate(&nv.PerSecond)},
			{"per_day", &nv.PerDay, within(&nv.PerDay, 0, math.MaxInt32)},
			{"keep", &nv.Keep, oneOf(&nv.Keep, []string{"all", "own"})},
			{"timeout", &nv.Timeout, positive(&nv.Timeout)},
			{"cache", &nv.Cache, notNegative(&nv.Cache)},
			{"price", &nv.Price, requestPrice(&nv.Price)},
		}},
		{"kakao", []field{
			{"base_url", &kk.BaseURL, baseURL(&kk.BaseURL)},
			{"per_second", &kk.PerSecond, rate(&kk.PerSecond)},
			{"per_day", &kk.PerDay, within(&kk.PerDay, 0, math.MaxInt32)},
			{"timeout", &kk.Timeout, positive(&kk.Timeout)},
			{"cache", &kk.Cache, notNegative(&kk.Cache)},
			{"price", &kk.Price, requestPrice(&kk.Price)},
		}},
		{"velog", []field{
			{"stats_url", &vl.StatsURL, baseURL(&vl.StatsURL)},
			{"users_url", &vl.UsersURL, baseURL(&vl.UsersURL)},
			{"posts", &vl.Posts, oneOf(&vl.Posts, []string{"v2", "v3"})},
			{"per_second", &vl.PerSecond, rate(&vl.PerSecond)},
			{"timeout", &vl.Timeout, positive(&vl.Timeout)},
			{"slow", &vl.Slow, positive(&vl.Slow)},
			{"attempts", &vl.Attempts, within(&vl.Attempts, 1, 100)},
			{"keep", &vl.Keep, wholeDays(&vl.Keep)},
		}},
		{"mongo", []field{
			{"database", &mg.Database, mongoName(&mg.Database)},
			{"collection", &mg.Collection, mongoName(&mg.Collection)},
		}},
		{"queue", []field{
			{"attempts", &q.Attempts, within(&q.Attempts, 1, 100)},
			{"backoff", &q.Backoff, positive(&q.Backoff)},
			{"backoff_max", &q.BackoffMax, positive(&q.BackoffMax)},
		}},
		{"budget", []field{
			{"run", &c.Budget.Run, dollars(&c.Budget.Run)},
			{"month", &c.Budget.Month, dollars(&c.Budget.Month)},
		}},
		{"map", []field{
			{"tiles", &c.Map.Tiles, tiles(&c.Map.Tiles)},
			{"attribution", &c.Map.Attribution, nil},
			{"attribution_url", &c.Map.AttributionURL, webAddress(&c.Map.AttributionURL)},
		}},
	}
}

// fields are the keys of every pipeline, and those of its kind.
func (p *Pipeline) fields() []field {
	return append([]field{
		{"kind", &p.Kind, oneOf(&p.Kind, kindNames())},
		{"name", &p.Name, pipelineName(&p.Name)},
		{"every", &p.Every, positive(&p.Every)},
		{"cron", &p.Cron, func() string { return checkCron(p.Cron) }},
		{"timezone", &p.Timezone, func() string { return checkZone(p.Timezone) }},
	}, p.kind().fields(p)...)
}

func (p *price) fields() []field {
	return []field{
		{"model", &p.Model, filled(&p.Model)},
		{"input", &p.Input, rate(&p.Input)},
		{"output", &p.Output, rate(&p.Output)},
	}
}

// set puts v, as the decoder read it, into the field. The complaint is empty when it fits.
func (f field) set(v any) (complaint string) {
	switch dst := f.dst.(type) {
	case *string:
		return put(dst, v, "text in quotes")
	case *[]string:
		return putList(dst, v)
	case *bool:
		return put(dst, v, "true or false")
	case *int:
		var n int64
		complaint = put(&n, v, "a whole number")
		if complaint == "" && n != int64(int(n)) {
			return fmt.Sprintf("is too large: %d", n)
		}
		*dst = int(n)
		return complaint
	case *int64:
		return put(dst, v, "a whole number")
	case *float64:
		if n, ok := v.(int64); ok {
			v = float64(n)
		}
		return put(dst, v, "a number")
	case *time.Duration:
		s, ok := v.(string)
		if !ok {
			return fmt.Sprintf("must be a duration in quotes, such as \"30s\", \"90m\", \"72h\" or \"3d\", not %s", typeName(v))
		}
		if err := (*Duration)(dst).UnmarshalText([]byte(s)); err != nil {
			return "has a value that cannot be read: " + err.Error()
		}
		return ""
	case *bytes:
		return putBytes(dst, v)
	default:
		panic(fmt.Sprintf("config: no way to set a %T", f.dst))
	}
}

func put[T any](dst *T, v any, want string) string {
	t, ok := v.(T)
	if !ok {
		return fmt.Sprintf("must be %s, not %s", want, typeName(v))
	}
	*dst = t
	return ""
}

func putList(dst *[]string, v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprintf("must be a list such as [\"one\", \"two\"], not %s", typeName(v))
	}
	out := make([]string, 0, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			return fmt.Sprintf("must be a list of texts in quotes, but number %d of it is %s", i+1, typeName(e))
		}
		out = append(out, s)
	}
	*dst = out
	return ""
}

func putBytes(dst *bytes, v any) string {
	if n, ok := v.(int64); ok {
		*dst = bytes(n)
		return ""
	}
	s, ok := v.(string)
	if !ok {
		return fmt.Sprintf("must be a number of bytes or a size such as \"190MiB\", not %s", typeName(v))
	}
	var n int64
	var unit string
	if _, err := fmt.Sscanf(s, "%d%s", &n, &unit); err == nil {
		if scale, ok := map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20}[unit]; ok && n >= 0 && n < 1<<30 {
			*dst = bytes(n * scale)
			return ""
		}
	}
	return fmt.Sprintf("has a size that cannot be read: %q; write it like \"190MiB\" or 199229440", s)
}

func typeName(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "a list"
	default:
		return fmt.Sprintf("a %T", v)
	}
}
