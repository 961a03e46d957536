package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"sumbi/config"
	"sumbi/jobs"
	"sumbi/queue"
)

// loginCmd has no argument for what is secret: everybody on a machine can read those.
type loginCmd struct {
	Pipeline string `arg:"" help:"Name of the pipeline."`
	User     string `arg:"" optional:"" help:"Whose log-in it must be; another one is refused."`
}

// mostLogin is more than two cookies can have.
const mostLogin = 64 << 10

// Run reads a log-in from SUMBI_LOGIN (or the file that SUMBI_LOGIN_FILE names), else from the standard input, and stores it
// encrypted once the upstream has accepted it.
func (l loginCmd) Run(e *env) error {
	c, p, err := e.pipeline(l.Pipeline)
	if err != nil {
		return err
	}
	if err := need(c, p.Name); err != nil {
		return err
	}
	want := ""
	if l.User != "" {
		if want, err = p.Target(l.User); err != nil {
			return usageError{err}
		}
	}
	s, err := e.open(c.State, queue.Guest)
	if errors.Is(err, os.ErrNotExist) {
		s, err = e.open(c.State, queue.Owner) // the first thing that is stored
	}
	if err != nil {
		return err
	}
	defer s.Close()
	only := *c
	only.Secrets.Mongo = "" // nobody else is to be called
	b, err := e.Build(e.ctx, &only, s, prometheus.NewRegistry(), e.log)
	if err != nil {
		return err
	}
	defer b.closeLimits(e.ctx)
	i := slices.IndexFunc(b.Engine.Pipelines, func(x *jobs.Pipeline) bool { return x.Name == p.Name })
	text, err := l.read(e)
	if err != nil {
		return err
	}
	user, err := b.Engine.HandIn(e.ctx, b.Engine.Pipelines[i], want, text)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "the log-in of %s is stored, encrypted; its turn comes with the next run of %s\n", user, p.Name)
	return nil
}

func (l loginCmd) read(e *env) (string, error) {
	secret, err := config.ReadSecret(e.Getenv, "SUMBI_LOGIN")
	if err != nil || secret != "" {
		return secret.Reveal(), err
	}
	if e.typed() {
		fmt.Fprintf(e.Stdout, "paste the cookies access_token=…; refresh_token=… of %s, then Enter and Ctrl-D\n", l.Pipeline)
	}
	text, err := io.ReadAll(io.LimitReader(e.Stdin, mostLogin+1))
	if err != nil {
		return "", fmt.Errorf("the standard input: %w", err)
	}
	if len(text) > mostLogin || strings.TrimSpace(string(text)) == "" {
		return "", errors.New("there is no log-in on the standard input: give it access_token=…; refresh_token=…, or set SUMBI_LOGIN_FILE")
	}
	return string(text), nil
}

type logoutCmd struct {
	Pipeline string `arg:"" help:"Name of the pipeline."`
	User     string `arg:"" help:"Whose log-in is forgotten."`
}

// Run forgets a log-in, also while another sumbi works on the state.
func (l logoutCmd) Run(e *env) error {
	c, p, err := e.pipeline(l.Pipeline)
	if err != nil {
		return err
	}
	s, err := e.open(c.State, queue.Guest)
	if err != nil {
		return err
	}
	defer s.Close()
	user := strings.TrimPrefix(l.User, "@")
	err = jobs.LogOut(e.ctx, s, &jobs.Pipeline{Name: p.Name, Members: kindOf(p).members}, user)
	if errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%s has no log-in in %s; nothing was changed", user, p.Name)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "the log-in of %s is forgotten: no call is made for this user any more; what was counted stays\n", user)
	return nil
}
