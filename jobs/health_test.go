package jobs_test

import (
	"strings"
	"testing"
	"time"
)

func TestEngineHealth(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.boot()
		if w.engine.Begun() || w.engine.Stuck(time.Now().Add(time.Hour)) != "" {
			t.Error("an engine that nobody has set going has begun, or is stuck")
		}
		looked := false
		time.AfterFunc(30*time.Minute, func() {
			looked = true
			if why := w.engine.Stuck(time.Now()); why != "" || !w.engine.Begun() {
				t.Errorf("at work: begun %t, stuck: %s", w.engine.Begun(), why)
			}
			if why := w.engine.Stuck(time.Now().Add(time.Hour)); !strings.Contains(why, "looked at") {
				t.Errorf("an hour without a look: %q", why)
			}
		})
		w.serveOn(time.Hour)
		if why := w.engine.Stuck(time.Now().Add(time.Hour)); !looked || why != "" {
			t.Errorf("it has ended: %s", why)
		}
	})
}
