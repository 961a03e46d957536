package cli

import (
	"fmt"
	"time"

	"sumbi/config"
	"sumbi/queue"
)

type moveCmd struct {
	To string `required:"" placeholder:"postgres|FILE" help:"postgres: the empty database that DATABASE_URL names; else a new file."`
}

// movePause is the time between two lines about how far a move is.
const movePause = 2 * time.Second

// Run copies the state on which nobody works, and says how to go on and how to go back.
func (c moveCmd) Run(e *env) error {
	if err := config.CheckState(c.To); err != nil {
		return err
	}
	state, err := e.statePath()
	if err != nil {
		return err
	}
	from, err := e.location(state)
	if err != nil {
		return err
	}
	to, err := e.location(c.To)
	if err != nil {
		return err
	}
	began := time.Now()
	told := began
	tables, err := queue.Move(e.ctx, from, to, e.Schema, func(done, all int64) {
		if time.Since(told) < movePause {
			return
		}
		told = time.Now()
		e.log.Info("moving", "rows", done, "of", all, "percent", 100*done/max(all, 1))
	})
	if err != nil {
		return err
	}
	rows := int64(0)
	for _, t := range tables {
		e.log.Debug("moved", "table", t.Table, "rows", t.Rows, "sha256", t.Hash)
		rows += t.Rows
	}
	fmt.Fprintf(e.Stdout, "%d rows of %d tables are copied in %s, read back and equal; %s is as it was\n", rows, len(tables), short(time.Since(began)), e.named(state))
	if c.To == config.Postgres {
		fmt.Fprintf(e.Stdout, "To go on there: state = \"postgres\" in %s, and DATABASE_URL on every machine. To go back: stop sumbi everywhere, `sumbi move --to NEW.db`, and name that file.\n", e.flags.Config)
	} else {
		fmt.Fprintf(e.Stdout, "To go on there: state = %q in %s. To go back: stop sumbi, put an empty database into DATABASE_URL, `sumbi move --to postgres`, and state = \"postgres\".\n", c.To, e.flags.Config)
	}
	fmt.Fprintf(e.Stdout, "Never work on both: each would go on with the same run.\n")
	return nil
}

// named is what a person calls a state.
func (e *env) named(state string) string {
	if state == config.Postgres {
		return "the database"
	}
	return state
}

// location is where a state lies that is called so in the configuration.
func (e *env) location(state string) (queue.Location, error) {
	if state != config.Postgres {
		return queue.Location{File: state}, nil
	}
	d, err := e.database()
	return queue.Location{Database: d}, err
}
