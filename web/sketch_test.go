package web_test

import (
	"math"
	"testing"

	"sumbi/web"
)

// TestSketch wants spots to stand to each other as they do in the country, each to be seen, and those far away at the edge.
func TestSketch(t *testing.T) {
	t.Parallel()
	if marks, _ := web.Sketch([3]float64{1, 0, 0}, [3]float64{2, math.NaN(), 127}, [3]float64{3, 137, 427}); marks != nil {
		t.Errorf("what is nowhere is at %v", marks)
	}
	marks, scale := web.Sketch([3]float64{1, 37.56, 126.99}, [3]float64{2, 37.57, 126.99}, [3]float64{3, 37.56, 127.01}, [3]float64{4, 37.565, 127.00}, [3]float64{5, 33.5, 126.5})
	if len(marks) != 5 || scale != "1.0 km" && scale != "500 m" {
		t.Fatalf("%v with %s", marks, scale)
	}
	one, two, three, jeju := marks[0], marks[1], marks[2], marks[4]
	if two.Y >= one.Y || math.Abs(two.X-one.X) > 1 || three.X <= one.X || math.Abs(three.Y-one.Y) > 1 {
		t.Errorf("north is not above or east not at the right: %v", marks)
	}
	// A degree of longitude is 0.79 of one of latitude there.
	if got, want := (three.X-one.X)/(one.Y-two.Y), 2*0.7927; math.Abs(got-want) > 0.01 {
		t.Errorf("east to north is %.3f, want %.3f", got, want)
	}
	if !jeju.Far || one.Far || jeju.Y < 220 {
		t.Errorf("what is far is not at the edge: %v", marks)
	}
	// Twelve on one spot do not cover each other.
	var same [][3]float64
	for i := range 12 {
		same = append(same, [3]float64{float64(i + 1), 37.56, 126.99})
	}
	marks, _ = web.Sketch(same...)
	for i, a := range marks {
		for _, b := range marks[:i] {
			if math.Hypot(a.X-b.X, a.Y-b.Y) < 21 {
				t.Errorf("%d covers %d: %v %v", a.N, b.N, a, b)
			}
		}
		if a.X < 10 || a.X > 390 || a.Y < 10 || a.Y > 230 {
			t.Errorf("%d is outside: %v", a.N, a)
		}
	}
}
