package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Mention is what an honest reader finds about one restaurant in a caption. Texts stand in the caption literally;
// "" means that it says nothing.
type Mention struct {
	Name    string     `json:"name"`
	Branch  string     `json:"branch,omitempty"`
	Address string     `json:"address,omitempty"`
	Area    string     `json:"area,omitempty"`
	Phone   string     `json:"phone,omitempty"`
	Menu    []MenuItem `json:"menu,omitempty"`
	Ad      bool       `json:"ad"`
	Quote   string     `json:"quote"`
	Place   *Place     `json:"place,omitempty"` // nil when it is on no map or too vague
	Kind    string     `json:"kind,omitempty"`  // what makes it hard to find; only in a hard world
}

// caption is a text and its truth.
type caption struct {
	text     string
	mentions []Mention
}

// voice is how one influencer writes.
type voice struct {
	hooks, ends []string
	addresses   float64 // how likely an address is
	list, tags  float64
}

var (
	hooks = []string{
		"여기 진짜 미쳤어요 🤤", "드디어 다녀온 그 집!", "저장 필수 📌", "오늘도 먹으러 다니는 중 🏃", "웨이팅해도 인정하는 집", "솔직 후기 들고 왔어요",
		"비 오는 날 생각나는 맛 ☔", "퇴근하고 바로 달려간 곳", "친구가 알려준 찐맛집", "올해 먹은 것 중에 최고", "줄 서서 먹는 이유가 있네요", "나만 알고 싶었는데… 공개합니다",
		"주말 데이트 코스 고민 끝 💑", "현지인만 안다는 그곳", "재방문 의사 200%", "POV: 점심시간에 여기 도착함", "요즘 제일 핫한 곳 🔥", "부모님 모시고 가기 좋은 집",
	}
	praise = []string{
		"%s 한 입 먹고 말을 잃었어요", "%s 무조건 시키세요!!", "개인적으로 %s 추천드려요 👍", "%s 양이 진짜 넉넉해요", "%s 맛이 깊고 깔끔해서 계속 들어가요",
		"겉바속촉 그 자체인 %s", "사장님 인심이 느껴지는 %s", "%s 때문에 또 갈 듯ㅋㅋㅋ", "밑반찬까지 맛있어서 %s 나오기 전에 배부름", "%s 비주얼 무엇…😳",
	}
	extras = []string{
		"주차는 근처 공영주차장 이용하세요 🚗", "브레이크타임 15:00~17:00 꼭 확인!", "매장이 아담해서 오픈런 추천해요", "반려견 동반 가능 🐶", "예약은 네이버로 했어요",
		"평일 저녁인데도 만석이었어요", "내돈내산 후기입니다", "분위기도 좋아서 데이트하기 딱!", "혼밥하기에도 좋아요", "포장도 된다고 해요",
	}
	ends = []string{
		"팔로우하고 맛집 정보 받아가세요 🙌", "같이 가고 싶은 친구 태그 👇", "저장해두고 다음에 꼭 가보세요!", "더 많은 맛집은 프로필 링크에서 🔗", "좋아요는 큰 힘이 됩니다 💛", ".\n.\n.", "",
	}
	ads   = []string{"[광고] ", "#협찬 ", "(제품 및 서비스를 제공받아 작성한 솔직 후기) #광고 ", "[유료광고 포함] "}
	daily = []string{
		"오늘은 집에서 뒹굴뒹굴 🛋", "새 카메라 샀어요 📷 앞으로 더 예쁘게 찍어볼게요", "한강에서 노을 보면서 라면 🍜 행복 별거 없다", "구독자 이벤트 결과 발표합니다 🎉 당첨되신 분들 축하드려요",
		"요즘 운동 시작했습니다. 먹는 만큼 움직이기!", "여러분은 민초파? 반민초파? 댓글로 알려주세요", "벌써 한 해가 다 갔네요. 올해도 고마웠어요", "집밥이 최고야 👩‍🍳 된장찌개 레시피는 다음 영상에",
		"오늘의 하늘 ☁", "다음엔 어디 갈까요? 댓글로 추천해주세요 🙏", "먹방 촬영 비하인드 🎬", "휴가 다녀올게요! 다음 주에 만나요 ✈",
	}
	commonTags = []string{"#맛집", "#먹스타그램", "#맛스타그램", "#맛집추천", "#먹방", "#인스타맛집", "#데일리", "#foodie", "#koreanfood", "#소통", "#맛집탐방", "#오늘뭐먹지"}
)

func newVoice(rng *rand.Rand) *voice {
	pick := func(all []string, n int) []string {
		p := rng.Perm(len(all))
		out := make([]string, n)
		for i := range out {
			out[i] = all[p[i]]
		}
		return out
	}
	return &voice{hooks: pick(hooks, 9), ends: pick(ends, 3), addresses: 0.3 + 0.6*rng.Float64(), list: 0.04 + 0.14*rng.Float64(), tags: 0.03 + 0.1*rng.Float64()}
}

func one(rng *rand.Rand, all []string) string { return all[rng.IntN(len(all))] }

// write composes a caption. nil means a post without one.
func (w *world) write(rng *rand.Rand, v *voice) *caption {
	var c *caption
	if len(w.hard) > 0 && rng.Float64() < hardShare {
		return w.keep(w.writeHard(rng, v))
	}
	switch x := rng.Float64(); {
	case x < 0.025:
		return nil
	case x < 0.055 && len(w.written) > 0: // somebody repeats a caption word by word
		return w.written[rng.IntN(len(w.written))]
	case x < 0.14:
		c = w.writeDaily(rng)
	case x < 0.20:
		c = w.writeUnknown(rng, v)
	case x < 0.23:
		c = w.writeVague(rng, v)
	case x < 0.23+v.list:
		c = w.writeList(rng, v)
	case x < 0.23+v.list+v.tags:
		c = w.writeTags(rng)
	default:
		c = w.writeOne(rng, v, w.visit(rng))
	}
	return w.keep(c)
}

// keep returns the caption of this text, which is c unless somebody has written it before.
func (w *world) keep(c *caption) *caption {
	if same := w.captions[c.text]; same != nil {
		return same
	}
	w.captions[c.text] = c
	if len(c.mentions) > 0 && c.mentions[0].Place != nil {
		w.written = append(w.written, c)
	}
	return c
}

// visit picks a place; a few are visited by everybody.
func (w *world) visit(rng *rand.Rand) *Place {
	if rng.IntN(4) == 0 {
		return w.food[rng.IntN(min(25, len(w.food)))]
	}
	return w.food[rng.IntN(len(w.food))]
}

// spoken is the name as a writer puts it: now and then with a space that the map does not have, or without one.
func spoken(rng *rand.Rand, p *Place) string {
	if rng.IntN(9) != 0 {
		return p.brand
	}
	if prefix, ok := strings.CutSuffix(p.brand, p.kind.suffix); ok && prefix != "" && !strings.HasPrefix(p.kind.suffix, "&") {
		return prefix + " " + p.kind.suffix
	}
	return p.brand
}

// spell writes the place's address in one of the usual ways.
func spell(rng *rand.Rand, p *Place) string {
	d := p.district
	long, road := d.sido+" "+d.sigungu, strings.TrimPrefix(strings.TrimSuffix(p.RoadAddress, " "+p.unit), d.sido+" "+d.sigungu+" ")
	if p.unit == "" {
		road = strings.TrimPrefix(p.RoadAddress, long+" ")
	}
	short := map[string]string{"강원특별자치도": "강원", "전북특별자치도": "전북", "제주특별자치도": "제주"}[d.sido]
	if short == "" {
		short = d.short
	}
	if p.RoadAddress == "" {
		return short + " " + d.sigungu + " " + p.dong + " " + p.lot
	}
	switch rng.IntN(7) {
	case 0:
		return long + " " + road
	case 1:
		return d.sigungu + " " + road
	case 2:
		return short + " " + d.sigungu + " " + p.dong + " " + p.lot
	case 3:
		if p.unit != "" {
			return short + " " + d.sigungu + " " + road + " " + p.unit
		}
	}
	return short + " " + d.sigungu + " " + road
}

// price writes won the way menus do; dots are the way of cafés.
func price(rng *rand.Rand, k *kind, won int) string {
	switch {
	case k.group == "CE7" && won%100 == 0 && rng.IntN(3) == 0:
		return fmt.Sprintf("%.1f", float64(won)/1000)
	case rng.IntN(3) == 0:
		return fmt.Sprintf("%d원", won)
	default:
		return fmt.Sprintf("%d,%03d원", won/1000, won%1000)
	}
}

// dishes writes some of the menu, one a line, and returns it as the truth has it.
func dishes(rng *rand.Rand, k *kind, b *strings.Builder, bullet string) []MenuItem {
	var out []MenuItem
	priced := rng.IntN(4) > 0
	for _, i := range rng.Perm(len(k.menu))[:1+rng.IntN(len(k.menu))] {
		m := k.menu[i]
		b.WriteString(bullet + m.Name)
		if priced {
			b.WriteString(" " + price(rng, k, m.Price))
		} else {
			m.Price = 0
		}
		b.WriteByte('\n')
		out = append(out, m)
	}
	return out
}
