package match

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Count compares decisions with labels.
type Count struct {
	Cases     int
	Answers   int // cases that have a right candidate
	Right     int // places that are the right candidate
	Wrong     int // places that are another one, or where none is right
	Missed    int // none, though there is an answer
	RightNone int
	Review    int // put aside for a person
}

func (n *Count) add(answer int, state State, index int) (right bool) {
	n.Cases++
	if answer >= 0 {
		n.Answers++
	}
	switch {
	case state == Review:
		n.Review++
	case state == Place && index == answer:
		n.Right++
		return true
	case state == Place:
		n.Wrong++
	case answer < 0:
		n.RightNone++
		return true
	default:
		n.Missed++
	}
	return false
}

// Precision is the share of right ones among the places that are taken, 0 to 1; NaN when none is.
func (n Count) Precision() float64 { return float64(n.Right) / float64(n.Right+n.Wrong) }

// Recall is the share of the right places that are taken; NaN when there are none.
func (n Count) Recall() float64 { return float64(n.Right) / float64(n.Answers) }

// F1 is the harmonic mean of Precision and Recall.
func (n Count) F1() float64 { return 2 * float64(n.Right) / float64(n.Right+n.Wrong+n.Answers) }

// Accuracy is the share of cases that are decided rightly, place or none.
func (n Count) Accuracy() float64 { return float64(n.Right+n.RightNone) / float64(n.Cases) }

// Share is the share of cases that are put aside for a person.
func (n Count) Share() float64 { return float64(n.Review) / float64(n.Cases) }

// plus adds up counts.
func (n Count) plus(m Count) Count {
	return Count{
		n.Cases + m.Cases, n.Answers + m.Answers, n.Right + m.Right, n.Wrong + m.Wrong,
		n.Missed + m.Missed, n.RightNone + m.RightNone, n.Review + m.Review,
	}
}

// Kind is the decisions of one kind of cases, without review.
type Kind struct {
	Name         string
	Cases, Right int
}

// Report compares the decisions for cases with their labels.
type Report struct {
	Two   Count // place or none
	Three Count // place, none or review
	Kinds []Kind
}

// Evaluate decides every case by the embedded weights and counts. decided, unless it is nil, sees each decision.
func Evaluate(cases []Case, decided func(Case, Decision) error) (Report, error) {
	var r Report
	kinds := make(map[string]Kind)
	for _, c := range cases {
		d := Decide(c.Mention, c.Candidates)
		r.add(kinds, c, d)
		if decided != nil {
			if err := decided(c, d); err != nil {
				return r, err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		r.Kinds = append(r.Kinds, kinds[name])
	}
	return r, nil
}

func (r *Report) add(kinds map[string]Kind, c Case, d Decision) {
	two := None
	if d.Pick >= 0 {
		two = Place
	}
	k := kinds[c.Kind]
	k.Name = c.Kind
	k.Cases++
	if r.Two.add(c.Answer, two, d.Pick) {
		k.Right++
	}
	kinds[c.Kind] = k
	r.Three.add(c.Answer, d.State, d.Index)
}

func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cases           %d, %d with an answer\n", r.Two.Cases, r.Two.Answers)
	b.WriteString(r.Two.lines("without review"))
	b.WriteString(r.Three.lines("with review"))
	fmt.Fprintf(&b, "  to review     %s of the cases\n", Share(r.Three.Review, r.Three.Cases))
	b.WriteString("right of each kind, without review\n")
	for _, k := range r.Kinds {
		fmt.Fprintf(&b, "  %-28s %3d of %3d\n", k.Name, k.Right, k.Cases)
	}
	return b.String()
}

func (n Count) lines(title string) string {
	return fmt.Sprintf("%s\n  precision     %s\n  recall        %s\n  F1            %.3f\n  accuracy      %s\n  wrong %d, missed %d\n", title,
		Share(n.Right, n.Right+n.Wrong), Share(n.Right, n.Answers), n.F1(), Share(n.Right+n.RightNone, n.Cases), n.Wrong, n.Missed)
}

// Share prints k of n with the 95 % interval by Wilson.
func Share(k, n int) string {
	if n == 0 {
		return "none"
	}
	return interval(float64(k), float64(n))
}

// interval is the share of k in n with its 95 % interval.
func interval(k, n float64) string {
	lo, hi := wilson(k, n)
	return fmt.Sprintf("%.3f [%.3f, %.3f]", k/n, lo, hi)
}

// wilson is the 95 % confidence interval of a share.
func wilson(k, m float64) (lo, hi float64) {
	const z = 1.96
	p := k / m
	centre := (p + z*z/2/m) / (1 + z*z/m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/4/m/m) / (1 + z*z/m)
	return centre - half, centre + half
}

// WritePrediction writes a decision as {"case_id":"…","index":0}, caption_id for captions, index -1 for none.
func WritePrediction(w io.Writer, c Case, d Decision) error {
	p := struct {
		CaseID    string `json:"case_id,omitempty"`
		CaptionID string `json:"caption_id,omitempty"`
		Index     int    `json:"index"`
	}{Index: d.Pick}
	if c.Caption {
		p.CaptionID = c.ID
	} else {
		p.CaseID = c.ID
	}
	return json.NewEncoder(w).Encode(p)
}

// Line is the averages of a cross-validation in a line.
func (v Validation) Line() string {
	two, three := v.Total()
	return fmt.Sprintf("accuracy %.3f  precision %.3f  recall %.3f | with review: precision %.3f, unaided %.3f, review %.3f | loss %.3f",
		two.Accuracy(), two.Precision(), two.Recall(), three.Precision(), three.Recall(), three.Share(), v.Loss)
}

// String is the averages: precision, recall and accuracy with the 95 % interval that so many cases allow, and how far the
// repetitions lie apart.
func (v Validation) String() string {
	least, most := math.Inf(1), math.Inf(-1)
	for _, n := range v.Two {
		least, most = min(least, n.Accuracy()), max(most, n.Accuracy())
	}
	two, three := v.Total()
	times := float64(len(v.Two))
	part := func(k, n int) string { return interval(float64(k)/times, float64(n)/times) }
	return fmt.Sprintf("cases           %d, cross-validated by place in %d folds, %d times\n"+
		"without review  precision %s  recall %s  F1 %.3f  accuracy %s, by repetition %.3f to %.3f  wrong %.1f  missed %.1f\n"+
		"with review     precision %s  unaided %s  to review %.3f  wrong %.1f  missed %.1f\nloss            %.4f\n",
		v.Two[0].Cases, folds, len(v.Two),
		part(two.Right, two.Right+two.Wrong), part(two.Right, two.Answers), two.F1(), part(two.Right+two.RightNone, two.Cases), least, most, float64(two.Wrong)/times, float64(two.Missed)/times,
		part(three.Right, three.Right+three.Wrong), part(three.Right, three.Answers), three.Share(), float64(three.Wrong)/times, float64(three.Missed)/times, v.Loss)
}
