package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"sumbi/adapters"
	"sumbi/config"
	"sumbi/jobs"
)

type evalExtractCmd struct {
	File  string `arg:"" help:"Labelled captions, one JSON object a line."`
	Yes   bool   `help:"Pay without asking."`
	Batch string `help:"Take up a batch of these captions that was sent before, and pay nothing." placeholder:"ID"`
	Again bool   `help:"Ask anew although a batch of the last two days has asked the same."`
	Wrong bool   `help:"Print each thing that is missed, invented or not as it stands in the caption."`
	jsonFlag
}

// Run asks the model about the captions and compares.
func (c evalExtractCmd) Run(e *env) error {
	if c.Batch != "" && c.Again {
		return usageError{errors.New("--batch takes up what was asked, --again asks anew: say one of them")}
	}
	captions, err := readLabelled(c.File)
	if err != nil {
		return err
	}
	conf, err := e.config()
	if err != nil {
		return err
	}
	if conf.Secrets.OpenAI == "" {
		return &config.Error{File: conf.Path, Msg: "OPENAI_API_KEY is not set; put the key into the environment, or the name of a file that holds it into OPENAI_API_KEY_FILE"}
	}
	batcher, end := e.Batcher(conf)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), 10*time.Second)
		defer cancel()
		end(ctx)
	}()
	in, out, known := conf.Price(conf.OpenAI.Model)
	status := ""
	x := &jobs.Extractor{
		Batcher: batcher, Price: jobs.Price{Input: in, Output: out}, Poll: conf.OpenAI.Poll, Settle: conf.OpenAI.Settle, Now: time.Now,
		Status: func(b adapters.Batch) {
			if b.Status != status {
				status = b.Status
				fmt.Fprintf(e.Stderr, "batch %s: %s\n", b.ID, safe(status))
			}
		},
	}
	id := c.Batch
	if id == "" {
		if id, err = c.send(e, x, captions, conf.OpenAI, known); err != nil {
			return err
		}
	}
	b, err := x.Wait(e.ctx, id)
	if err == nil {
		err = c.report(e, x, b, captions, known)
	}
	if err != nil && e.ctx.Err() != nil {
		return fmt.Errorf("stopped; the batch runs on, and `sumbi eval extract %s --batch %s` takes it up without paying again", c.File, id)
	}
	return err
}

func readLabelled(name string) ([]*jobs.Labelled, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, usageError{fmt.Errorf("captions: %w", err)}
	}
	defer f.Close()
	captions, err := jobs.ReadLabelled(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return captions, nil
}

// send says what it will cost, asks whether it may, and returns the id of the batch.
func (c evalExtractCmd) send(e *env, x *jobs.Extractor, captions []*jobs.Labelled, limits config.OpenAI, known bool) (string, error) {
	asked, err := x.Prepare(captions)
	if err != nil {
		return "", fmt.Errorf("%s: %w", c.File, err)
	}
	if asked.Lines > limits.MaxLines || int64(len(asked.Input)) > limits.MaxBytes {
		return "", usageError{fmt.Errorf("%s: %s captions are more than one batch takes; cut the file into several", c.File, grouped(asked.Lines))}
	}
	if !c.Again {
		b, ok, err := x.Recent(e.ctx, asked)
		if err != nil {
			return "", err
		}
		if ok {
			fmt.Fprintf(c.talk(e), "batch %s of %s has asked the same; it is taken up and nothing is paid (--again asks anew)\n", b.ID, b.CreatedAt.Format(time.RFC3339))
			return b.ID, nil
		}
	}
	cost := "an unknown sum (add a [[price]])"
	if known {
		cost = jobs.Dollars(asked.MicroUSD)
	}
	fmt.Fprintf(c.talk(e), "%s to %s: about %s tokens in, at most about %s out, together %s at the batch price\n",
		plural(asked.Lines, "caption", "captions"), x.Batcher.Model(), grouped(int(asked.Tokens)), grouped(int(asked.Output)), cost)
	if !c.Yes && !e.agreed("send it? [y/N] ") {
		return "", usageError{errors.New("nothing was sent; say --yes to pay for it")}
	}
	b, err := x.Send(e.ctx, asked)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(c.talk(e), "batch %s is sent; if this is interrupted, `sumbi eval extract %s --batch %s` takes it up\n", b.ID, c.File, b.ID)
	return b.ID, nil
}

// talk is where a person is told what goes on: with --json Stdout is for the document alone.
func (c evalExtractCmd) talk(e *env) io.Writer {
	if c.JSON {
		return e.Stderr
	}
	return e.Stdout
}

// typed reports whether a person at a terminal writes the input.
func (e *env) typed() bool {
	in, ok := e.Stdin.(*os.File)
	return ok && term.IsTerminal(int(in.Fd()))
}

// agreed asks a person at a terminal; elsewhere nobody agrees.
func (e *env) agreed(question string) bool {
	if !e.typed() {
		return false
	}
	fmt.Fprint(e.Stderr, question)
	answer, _ := (&lines{in: bufio.NewScanner(e.Stdin)}).next(e.ctx)
	return answer == "y" || answer == "yes"
}

// report compares the answers of an ended batch with the labels.
func (c evalExtractCmd) report(e *env, x *jobs.Extractor, b adapters.Batch, captions []*jobs.Labelled, known bool) error {
	answers := map[string]adapters.Answer{}
	var in, out int64
	err := x.Answers(e.ctx, b, func(a adapters.Answer) error {
		in, out = in+a.InputTokens, out+a.OutputTokens
		answers[a.ID] = a
		return nil
	})
	if err != nil {
		return err
	}
	var figures jobs.Extraction
	var told, unread []remark
	asked := 0
	for _, l := range captions {
		a, ok := answers[l.Question().ID]
		if ok {
			asked++
		}
		switch {
		case !ok:
			unread = append(unread, remark{l.ID, "no answer came"})
			continue
		case a.Err != nil && !ofTheModel(a.Err):
			unread = append(unread, remark{l.ID, a.Err.Error()})
			continue
		case a.Err != nil:
			told = append(told, remark{l.ID, a.Err.Error()})
		}
		misses, err := figures.Add(l, a.Body)
		if err != nil {
			return fmt.Errorf("%s: %w", l.ID, err)
		}
		for _, m := range misses {
			told = append(told, remark{l.ID, m})
		}
	}
	if asked == 0 {
		return fmt.Errorf("batch %s has no answer to any caption of %s: it asked others, or with another prompt", b.ID, c.File)
	}
	if !c.Wrong {
		told = nil
	}
	if c.JSON {
		err = e.document("eval extract", struct {
			Model, Prompt, Batch      string
			Asked                     int // captions
			Captions                  int // in the figures
			Restaurants               share
			Fields                    []fieldShare
			InputTokens, OutputTokens int64
			Known                     bool     // whether the model has a price
			MicroUSD                  int64    // 0 while the price is not known
			Unread                    []remark // captions that are not in the figures
			Wrong                     []remark // only with --wrong
		}{
			x.Batcher.Model(), jobs.PromptVersion, b.ID, len(captions), figures.Captions, shareOf(figures.Restaurants), fieldShares(figures.Fields),
			in, out, known, x.Price.Cost(in, out), unread, told,
		})
	} else {
		c.print(e, x, captions, &figures, in, out, known, told, unread)
	}
	if err == nil && figures.Captions == 0 {
		return errors.New("no caption was answered")
	}
	return err
}

func (c evalExtractCmd) print(e *env, x *jobs.Extractor, captions []*jobs.Labelled, figures *jobs.Extraction, in, out int64, known bool, told, unread []remark) {
	for _, r := range told {
		fmt.Fprintf(e.Stdout, "%s: %s\n", safe(r.Caption), safe(r.Text))
	}
	cost := "unknown"
	if known {
		cost = jobs.Dollars(x.Price.Cost(in, out))
	}
	fmt.Fprintf(e.Stdout, "%d of %s answered by %s, prompt %s\n%s%s tokens in, %s out, cost %s\n", figures.Captions,
		plural(len(captions), "caption", "captions"), x.Batcher.Model(), jobs.PromptVersion, figures, grouped(int(in)), grouped(int(out)), cost)
	if len(unread) > 0 {
		fmt.Fprintln(e.Stdout, "not in the figures, for the model was not heard:")
	}
	for _, r := range unread {
		fmt.Fprintf(e.Stdout, "  %s: %s\n", safe(r.Caption), safe(r.Text))
	}
}

// remark is something to say of a caption.
type remark struct{ Caption, Text string }

// share is a count with its shares, which are null where nothing was counted.
type share struct {
	jobs.Count
	Precision, Recall float64
}

func shareOf(c jobs.Count) share {
	right := float64(c.Right)
	return share{c, right / float64(c.Right+c.Wrong), right / float64(c.Right+c.Missed)}
}

type fieldShare struct {
	Name string
	share
}

func fieldShares(fs []jobs.Field) []fieldShare {
	var out []fieldShare
	for _, f := range fs {
		out = append(out, fieldShare{f.Name, shareOf(f.Count)})
	}
	return out
}

// ofTheModel reports that an answer is bad by the model's doing, so that it counts.
func ofTheModel(err *adapters.Error) bool {
	return err.Reason == adapters.ReasonRefusal || err.Reason == adapters.ReasonCut || err.Reason == adapters.ReasonInvalid
}
