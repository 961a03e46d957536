package jobs_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"sumbi/adapters"
	"sumbi/jobs"
	"sumbi/queue"
)

// FuzzCheck lets the model answer anything: what is accepted can be read by everything that follows.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"restaurants":[{"name":"을지면옥","branch":null,"area":"을지로","address":"","phone":"02-2266-7052","menu":[{"name":"냉면","price":15000}],"ad":false,"quote":"면이 좋다"}]}`))
	f.Add([]byte(`{"restaurants":[{"name":" "},{"name":"가","menu":[{"price":1e308}]},{"name":"\ud800"}]}`))
	f.Add([]byte(`{"restaurants":null}`))
	p := jobs.Matzip(&jobs.Pipeline{Name: "matzip", Ask: &jobs.Ask{}, Find: &jobs.Find{}})
	post := queue.Stored{Record: adapters.Record{Stream: "post", Key: "1", Data: json.RawMessage(`{"caption":"면","location":{"name":"을지로"}}`)}}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if err := p.Ask.Check(answer); err != nil {
			if !utf8.ValidString(err.Error()) || len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes: %.100q", len(err.Error()), err.Error())
			}
			return
		}
		var a struct{ Restaurants []json.RawMessage }
		if err := json.Unmarshal(answer, &a); err != nil {
			t.Fatalf("accepted: %v", err)
		}
		for _, raw := range a.Restaurants {
			m, err := p.Find.Mention(queue.Mention{Record: post, Fields: raw})
			if err != nil {
				t.Fatalf("accepted, but %s: %v", raw, err)
			}
			if !utf8.ValidString(m.Name + m.Branch + m.Address + m.Area + m.Phone) {
				t.Errorf("%+v", m)
			}
		}
	})
}
