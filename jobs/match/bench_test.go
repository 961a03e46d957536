package match_test

import (
	"fmt"
	"testing"

	"sumbi/adapters"
	"sumbi/jobs/match"
)

// invented returns mentions with five candidates each: right ones, branches, neighbours, Latin names and strangers.
func invented(n int) (ms []match.Mention, found [][]adapters.Candidate) {
	first := []string{"누룽", "달빛", "솔밭", "금화", "온달", "새벽", "초록", "노을", "바람", "구름"}
	second := []string{"담", "국수", "집", "로", "식당", "커피", "화로", "분식", "베이커리", "상점"}
	latin := []string{"Nurung", "Dalbit", "Solbat", "Geumhwa", "Ondal", "Saebyeok", "Green", "Noeul", "Baram", "Gureum"}
	gus := []string{"서울특별시 마포구|망원동|포은로|망원", "서울특별시 강동구|천호동|천호대로|천호역", "부산광역시 수영구|광안동|광남로22번길|광안리", "제주특별자치도 제주시|노형동|노형로|노형오거리", "경기도 성남시 분당구|백현동|판교역로|판교"}
	part := func(i, k int) string {
		var f [4]string
		n := 0
		for j, start := 0, 0; j <= len(gus[i%5]) && n < 4; j++ {
			if j == len(gus[i%5]) || gus[i%5][j] == '|' {
				f[n], start = gus[i%5][start:j], j+1
				n++
			}
		}
		return f[k]
	}
	for i := range n {
		name := first[i%10] + second[i/10%10]
		m := match.Mention{Name: name, Area: part(i, 3), Menu: []string{"칼국수", "만두"}}
		switch i % 4 {
		case 1:
			m.Branch, m.Area = part(i, 3)+"점", ""
		case 2:
			m.Address = fmt.Sprintf("%s %s %d 2층", part(i, 0), part(i, 2), i%90+1)
		case 3:
			m.Name = latin[i%10] + " " + second[i/10%10]
			m.Location = &match.Location{Name: name, Lat: 37.5, Lng: 127}
		}
		ms = append(ms, m)
		var cs []adapters.Candidate
		for k := range 5 {
			title := name
			switch k {
			case 1:
				title += " " + part(i+1, 3) + "점"
			case 2:
				title = first[(i+3)%10] + second[i/10%10]
			case 3:
				title = latin[(i+k)%10] + " cafe"
			case 4:
				title = first[(i+5)%10] + " " + second[(i/10+2)%10] + " 2호점"
			}
			cs = append(cs, adapters.Candidate{
				Finder: "naver", Name: "<b>" + title + "</b>", Category: "음식점>한식",
				Address:     fmt.Sprintf("%s %s %d-%d", part(i+k/2, 0), part(i+k/2, 1), i%500+1, k+1),
				RoadAddress: fmt.Sprintf("%s %s %d", part(i+k/2, 0), part(i+k/2, 2), i%90+1+k),
				Lat:         37.5 + float64(k)/100, Lng: 127,
			})
		}
		found = append(found, cs)
	}
	return ms, found
}

// BenchmarkDecide times one decision among five candidates; 10,000 are to take at most 2 s on one core.
func BenchmarkDecide(b *testing.B) {
	ms, found := invented(1000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		match.Decide(ms[i%len(ms)], found[i%len(ms)])
	}
}
