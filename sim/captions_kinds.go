package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// writeOne is about one restaurant: with an address, an area or a branch.
func (w *world) writeOne(rng *rand.Rand, v *voice, p *Place) *caption {
	var b strings.Builder
	m := Mention{Name: spoken(rng, p), Place: p}
	if rng.IntN(9) == 0 {
		m.Ad = true
		b.WriteString(one(rng, ads))
	}
	b.WriteString(one(rng, v.hooks) + "\n\n")
	area := one(rng, p.district.areas)
	withAddress := p.twin || rng.Float64() < v.addresses
	switch {
	case p.branch != "" && rng.IntN(2) == 0:
		m.Branch = p.branch
		m.Quote = m.Name + " " + p.branch
		b.WriteString("오늘 소개할 곳은 " + m.Quote + p.kind.emoji + "\n")
	case withAddress && rng.IntN(2) == 0:
		m.Quote = "📍" + m.Name
		b.WriteString(m.Quote + "\n")
	default:
		m.Area = area
		m.Quote = fmt.Sprintf(one(rng, []string{"%s에서 제일 좋아하는 %s 다녀왔어요", "%s %s 아시는 분?", "%s 갈 때마다 들르는 %s", "%s에 새로 생긴 '%s' 방문 완료"}), area, m.Name)
		b.WriteString(m.Quote + "\n")
	}
	if withAddress {
		m.Address = spell(rng, p)
		b.WriteString(one(rng, []string{"🏠 ", "주소: ", "위치 | ", "📌"}) + m.Address + "\n")
		if p.Phone != "" && rng.IntN(2) == 0 {
			m.Phone = p.Phone
			b.WriteString("📞 " + p.Phone + "\n")
		}
		if rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "⏰ 매일 %d:00 - %d:30 (%s 휴무)\n", 9+rng.IntN(3), 20+rng.IntN(3), one(rng, []string{"월요일", "화요일", "일요일", "연중무휴, 명절"}))
		}
	}
	b.WriteByte('\n')
	fav := p.kind.menu[rng.IntN(len(p.kind.menu))]
	if rng.IntN(3) > 0 {
		m.Menu = dishes(rng, p.kind, &b, one(rng, []string{"▪ ", "✔ ", "- ", "🍽 "}))
	} else {
		m.Menu = []MenuItem{{Name: fav.Name}}
		b.WriteString(fmt.Sprintf(one(rng, praise), fav.Name) + "\n")
	}
	for range rng.IntN(3) {
		b.WriteString(one(rng, extras) + "\n")
	}
	if e := one(rng, v.ends); e != "" {
		b.WriteString("\n" + e + "\n")
	}
	w.tagLine(rng, &b, p, m.Area)
	return &caption{text: strings.TrimSpace(b.String()), mentions: []Mention{m}}
}

// tagLine ends a caption with hashtags. It names no area that the text does not.
func (w *world) tagLine(rng *rand.Rand, b *strings.Builder, p *Place, area string) {
	if rng.IntN(8) == 0 {
		return
	}
	b.WriteByte('\n')
	if area != "" {
		b.WriteString("#" + area + "맛집 ")
	}
	b.WriteString("#" + p.kind.tag)
	for _, i := range rng.Perm(len(commonTags))[:2+rng.IntN(5)] {
		b.WriteString(" " + commonTags[i])
	}
}

// writeTags puts the name into hashtags only: #을지로버들골목집맛집, or area and name apart.
func (w *world) writeTags(rng *rand.Rand) *caption {
	p := w.visit(rng)
	for p.twin || strings.ContainsAny(p.brand, "& ") {
		p = w.visit(rng)
	}
	m := Mention{Name: p.brand, Area: one(rng, p.district.areas), Place: p}
	var b strings.Builder
	if rng.IntN(2) == 0 {
		m.Quote = "#" + m.Area + m.Name + "맛집"
		b.WriteString(one(rng, hooks) + "\n.\n.\n" + m.Quote + " #" + p.kind.tag)
	} else {
		m.Quote = "#" + m.Name
		b.WriteString("#" + m.Area + "맛집 " + m.Quote + " #" + p.kind.tag)
	}
	for _, i := range rng.Perm(len(commonTags))[:2+rng.IntN(6)] {
		b.WriteString(" " + commonTags[i])
	}
	return &caption{text: b.String(), mentions: []Mention{m}}
}

// writeList names several restaurants of one district.
func (w *world) writeList(rng *rand.Rand, v *voice) *caption {
	first := w.visit(rng)
	d := first.district
	var near []*Place
	names := map[string]bool{}
	for _, i := range rng.Perm(len(w.food)) {
		if p := w.food[i]; p.district == d && !names[p.brand] && len(near) < 6 {
			names[p.brand] = true
			near = append(near, p)
		}
	}
	near = near[:min(len(near), 3+rng.IntN(4))]
	area := one(rng, d.areas)
	var b strings.Builder
	c := &caption{}
	fmt.Fprintf(&b, "%s %s %d곳 모음.zip 📂\n%s\n\n", area, one(rng, []string{"맛집", "찐맛집", "로컬 맛집", "데이트 맛집"}), len(near), one(rng, v.hooks))
	addresses := rng.IntN(2) == 0
	for i, p := range near {
		m := Mention{Name: p.brand, Area: area, Place: p}
		fmt.Fprintf(&b, "%d. ", i+1)
		m.Quote = m.Name
		if p.branch != "" {
			m.Branch = p.branch
			m.Quote += " " + p.branch
		}
		b.WriteString(m.Quote)
		if addresses || p.twin {
			m.Address = spell(rng, p)
			b.WriteString("\n📍 " + m.Address)
		}
		dish := p.kind.menu[rng.IntN(len(p.kind.menu))]
		if rng.IntN(2) == 0 {
			b.WriteString("\n👉 " + dish.Name + " " + price(rng, p.kind, dish.Price))
		} else {
			dish.Price = 0
			b.WriteString("\n👉 " + dish.Name)
		}
		m.Menu = []MenuItem{dish}
		b.WriteString("\n\n")
		c.mentions = append(c.mentions, m)
	}
	b.WriteString("#" + area + "맛집 #맛집리스트 #맛집모음")
	c.text = b.String()
	return c
}

// writeDaily names no restaurant.
func (w *world) writeDaily(rng *rand.Rand) *caption {
	if rng.IntN(5) == 0 {
		var tags []string
		for _, i := range rng.Perm(len(commonTags))[:4+rng.IntN(6)] {
			tags = append(tags, commonTags[i])
		}
		return &caption{text: strings.Join(tags, " ")}
	}
	return &caption{text: fmt.Sprintf("%d.%02d.%02d\n%s\n\n%s", 2024+rng.IntN(3), 1+rng.IntN(12), 1+rng.IntN(28), one(rng, daily), one(rng, commonTags))}
}

// writeUnknown is about a restaurant that is on no map.
func (w *world) writeUnknown(rng *rand.Rand, v *voice) *caption {
	like := w.visit(rng)
	k := w.kinds[rng.IntN(len(w.kinds)-1)]
	ghost := &Place{brand: one(rng, w.unknown) + k.suffix, kind: k, district: like.district, road: like.district.roads[0] + fmt.Sprint(" ", 131+rng.IntN(60))}
	ghost.dong, ghost.lot = like.dong, fmt.Sprint(901+rng.IntN(90))
	ghost.print()
	c := w.writeOne(rng, v, ghost)
	c.mentions[0].Place = nil
	return c
}

// writeVague names a chain and nothing that says which of its shops.
func (w *world) writeVague(rng *rand.Rand, v *voice) *caption {
	chains := strings.Fields(chainTable)
	brand, suffix, _ := strings.Cut(one(rng, chains), ":")
	k := w.kindOf(suffix)
	dish := k.menu[rng.IntN(len(k.menu))]
	m := Mention{Name: brand, Menu: []MenuItem{{Name: dish.Name}}}
	m.Quote = brand + one(rng, []string{" 신메뉴 나온 거 아세요?", " 어디를 가도 실패가 없죠", " 오늘도 출석 완료"})
	text := one(rng, v.hooks) + "\n\n" + m.Quote + "\n" + fmt.Sprintf(one(rng, praise), dish.Name) + "\n" + one(rng, extras) + "\n\n#" + k.tag + " " + one(rng, commonTags)
	return &caption{text: text, mentions: []Mention{m}}
}
