package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/adapters"
	"sumbi/adapters/notify"
	"sumbi/config"
	"sumbi/queue"
)

// Check asks one upstream whether it would serve.
type Check struct {
	Name string
	Do   func(ctx context.Context) error
}

type doctorCmd struct {
	Offline bool `help:"Call no upstream."`
	Notify  bool `help:"Send a test message to SUMBI_NOTIFY_URL."`
}

// Run checks one thing after the other and says what it finds.
func (d doctorCmd) Run(e *env) error {
	bad := 0
	say := func(what string, err error) {
		if err != nil {
			bad++
			fmt.Fprintf(e.Stdout, "BAD  %s: %v\n", what, err)
			return
		}
		fmt.Fprintf(e.Stdout, "ok   %s\n", what)
	}
	c, err := e.config()
	say("configuration "+e.flags.Config, err)
	if err != nil {
		return err
	}
	say("secrets of all pipelines", need(c))
	for _, p := range c.Pipelines {
		accounts, err := p.ReadAccounts(c.Dir())
		say(fmt.Sprintf("accounts of %s (%d)", p.Name, len(accounts)), err)
	}
	say("clock", clock(e.ctx))
	if c.Secrets.NotifyURL == "" {
		say("SUMBI_NOTIFY_URL is not set: only `sumbi status` tells of trouble", nil)
	} else if !d.Notify {
		say("SUMBI_NOTIFY_URL is set; `sumbi doctor --notify` sends a test message", nil)
	}
	dir, err := os.MkdirTemp("", "sumbi-doctor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	say("state file "+c.State, d.file(e, c.State))
	if !d.Offline && need(c) == nil {
		// The calls are counted in a file of their own, so that this can be asked beside a running process.
		s, err := queue.Open(e.ctx, dir+"/doctor.db", e.Schema, queue.Owner)
		if err != nil {
			return err
		}
		defer s.Close()
		b, err := e.Build(e.ctx, c, s, prometheus.NewRegistry(), e.log)
		if err != nil {
			say("wiring", err)
		} else {
			defer b.closeLimits(e.ctx)
			meter := &adapters.Meter{}
			for _, ch := range b.Checks {
				ctx, cancel := context.WithTimeout(adapters.WithMeter(e.ctx, meter), 30*time.Second)
				say(ch.Name, ch.Do(ctx))
				cancel()
			}
			if err := d.book(e, c.State, meter); err != nil {
				say("the books", err)
			}
		}
	}
	if d.Notify {
		say("a test message to SUMBI_NOTIFY_URL", d.tell(e, c))
	}
	if bad > 0 {
		return fmt.Errorf("%d checks failed", bad)
	}
	return nil
}

// book adds the requests of the checks to the books, if there is a state file that keeps some.
func (d doctorCmd) book(e *env, path string, m *adapters.Meter) error {
	s, err := e.open(path, queue.Guest)
	if err != nil {
		return nil // there is none yet, or it was said before
	}
	defer s.Close()
	return s.Tx(context.WithoutCancel(e.ctx), func(tx *queue.Tx) error { return tx.BookCalls("", m, "") })
}

// tell sends a message that a person can look for.
func (d doctorCmd) tell(e *env, c *config.Config) error {
	if c.Secrets.NotifyURL == "" {
		return errors.New("it is not set; put the address of a webhook into the environment")
	}
	ctx, cancel := context.WithTimeout(e.ctx, 30*time.Second)
	defer cancel()
	return notify.New(notify.Options{URL: c.Secrets.NotifyURL, Private: c.AllowPrivate}).Send(ctx, []adapters.Notice{{Event: "test", Text: "this is a test by `sumbi doctor`; trouble is told here", At: time.Now()}})
}

func (d doctorCmd) file(e *env, path string) error {
	s, err := e.open(path, queue.Guest)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the first run makes it
	}
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Check(e.ctx)
}

// clock says whether this machine's clock is one that can sign and schedule.
func clock(context.Context) error {
	if time.Now().Year() < 2025 {
		return fmt.Errorf("it is %s by this machine's clock; set it", time.Now().Format(time.DateOnly))
	}
	return nil
}
