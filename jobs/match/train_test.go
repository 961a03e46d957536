package match_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sumbi/jobs/match"
)

// cases labels what invented made: the first candidate is right, and where it was left out none is.
func cases(n int) []match.Case {
	ms, found := invented(n)
	cs := make([]match.Case, n)
	for i := range cs {
		cs[i] = match.Case{ID: fmt.Sprint(i), Kind: "invented", Group: fmt.Sprint(i / 2), Mention: ms[i], Candidates: found[i]}
		if i%3 == 2 {
			cs[i].Candidates, cs[i].Answer = found[i][1:], -1
		}
	}
	return cs
}

func TestTrain(t *testing.T) {
	t.Parallel()
	labelled := cases(120)
	first, v, err := match.Train(labelled)
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := match.Train(labelled)
	if err != nil {
		t.Fatal(err)
	}
	a, err := first.JSON()
	if err != nil {
		t.Fatal(err)
	}
	b, err := again.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same cases gave another model")
	}
	read, err := match.ReadModel(a)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, c := range labelled {
		d := read.Decide(c.Mention, c.Candidates)
		if d.Pick != first.Decide(c.Mention, c.Candidates).Pick {
			t.Errorf("case %s: another decision by the model as read", c.ID)
		}
		if d.Pick == c.Answer {
			right++
		}
	}
	if right < 110 {
		t.Errorf("%d of %d right by weights that were fitted to them", right, len(labelled))
	}
	two, three := v.Total()
	for _, n := range []match.Count{two, three} {
		if n.Cases != len(v.Two)*len(labelled) || n.Right+n.Wrong+n.Missed+n.RightNone+n.Review != n.Cases {
			t.Errorf("%+v does not add up", n)
		}
	}
	if three.Share() > .12 || three.Wrong > 0 && three.Precision() < .99 {
		t.Errorf("thresholds do not keep what is asked of them: %+v", three)
	}
}

func TestValidateWithoutAPart(t *testing.T) {
	t.Parallel()
	labelled := cases(90)
	all, err := match.Validate(labelled, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range match.Parts() {
		if p.Part != match.PartArea {
			continue
		}
		v, err := match.Validate(labelled, p.Part)
		if err != nil {
			t.Fatal(err)
		}
		if v.Loss <= all.Loss {
			t.Errorf("without %s the loss is %.3f, with it %.3f", p.Name, v.Loss, all.Loss)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	t.Parallel()
	if _, _, err := match.Train(cases(9)); err == nil || !strings.Contains(err.Error(), "too few") {
		t.Errorf("nine cases: %v", err)
	}
	if _, err := match.ReadModel([]byte(`{"final":{"name equl":1}}`)); err == nil || !strings.Contains(err.Error(), "name equl") {
		t.Errorf("an unknown level: %v", err)
	}
}
