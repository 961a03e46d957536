package sim

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// user is an account as it appears beside an item.
func (a *account) user() object { return user(a.name, a.id, a.fullName, a.private) }

func user(name, id, fullName string, private bool) object {
	return object{
		"account_badges": []any{}, "account_type": 2, "fbid_v2": int64(17841400353224228), "full_name": fullName,
		"has_anonymous_profile_picture": false, "id": id, "is_active_on_text_post_app": true, "is_favorite": false,
		"is_private": private, "is_unpublished": false, "is_verified": false, "latest_reel_media": 0,
		"profile_pic_id": "3307113797516129594_" + id, "show_account_transparency_details": true,
		"text_post_app_is_private": false, "third_party_downloads_enabled": 1, "transparency_product_enabled": false,
		"username": name,
	}
}

var (
	hashtag = regexp.MustCompile(`#[\p{L}\p{N}_]+`)
	mention = regexp.MustCompile(`@[\w.]+`)
)

// item writes a post as a list of viewer shows it. What varies without meaning depends on the post alone.
func (s *Server) item(p *post, viewer *account) object {
	owner := p.owner.user()
	ownerID := p.owner.id
	if p.foreign != "" {
		ownerID = fmt.Sprint(70_000_000_000 + p.salt%1_000_000_000)
		owner = user(p.foreign, ownerID, "게스트", false)
	}
	pk, code := p.pk, p.code()
	expires := p.takenAt.Add(72 * time.Hour).Unix()
	picture := fmt.Sprintf("https://scontent-sim.cdninstagram.example/v/t51.2885-15/%d_n.jpg?oe=%X", pk, expires)
	it := object{
		"are_remixes_crosspostable": true, "can_reply": false, "can_reshare": true, "can_save": true, "caption": p.captionObject(ownerID),
		"caption_is_edited": p.edited, "clips_tab_pinned_user_ids": []string{}, "coauthor_producers": []any{}, "code": code,
		"comment_threading_enabled": true, "comments_disabled": nil, "commerciality_status": "not_commercial", "deleted_reason": 0,
		"device_timestamp": p.takenAt.UnixMicro(), "fb_user_tags": object{"in": []any{}}, "filter_type": 0, "has_liked": false,
		"has_more_comments": true, "id": fmt.Sprintf("%d_%s", pk, ownerID),
		"image_versions":            object{"additional_items": object{}, "items": []object{{"height": 1350, "url": picture, "width": 1080}}},
		"integrity_review_decision": "pending", "invited_coauthor_producers": []any{}, "is_artist_pick": false,
		"is_in_profile_grid": !(p.form == 2 && p.salt&1 == 0), "is_paid_partnership": p.isAd() && p.salt&6 != 0, "is_post_live_clips_media": false,
		"is_quiet_post": false, "is_unified_video": false, "is_video": p.form == 2, "like_and_view_counts_disabled": p.salt>>8%20 == 0,
		"location": p.locationObject(), "media_notes": object{"items": []any{}}, "media_type": p.form, "music_metadata": nil,
		"original_height": 1350, "original_width": 1080, "owner": with(owner, "pk", jsonNumber(ownerID)), "pk": pk,
		"preview_comments": []any{}, "product_suggestions": []any{}, "share_count_disabled": false, "tagged_users": p.tagged(),
		"taken_at": p.takenAt.Unix(), "thumbnail_url": picture, "timeline_pinned_user_ids": []string{}, "top_likers": []any{}, "user": owner,
	}
	switch p.form {
	case 1:
		it["media_name"], it["media_format"], it["product_type"] = "post", "image", "feed"
	case 2:
		it["media_name"], it["media_format"], it["product_type"] = "reel", "video", "clips"
		video := fmt.Sprintf("https://scontent-sim.cdninstagram.example/o1/v/t16/f2/m86/%s.mp4?oe=%X", code, expires)
		it["video_url"], it["video_duration"], it["video_codec"], it["has_audio"] = video, 12.5+float64(p.salt%60), "vp09.00.31.08.00.01.01.01.00", true
		it["video_versions"] = []object{{"bandwidth": 770504, "height": 1280, "id": fmt.Sprint(pk, "v"), "type": 101, "url": video, "width": 720}}
	case 8:
		it["media_name"], it["media_format"], it["product_type"] = "album", "album", "carousel_container"
		slides := []object{}
		for i := range 2 + int(p.salt%5) {
			film := i == 0 && p.salt>>16%3 == 0
			slides = append(slides, object{
				"id": fmt.Sprintf("%d_%s", pk+int64(i)+1, ownerID), "is_video": film, "media_type": map[bool]int{false: 1, true: 2}[film],
				"image_versions": it["image_versions"], "taken_at": p.takenAt.Unix(),
			})
		}
		it["carousel_media"], it["carousel_media_count"] = slides, len(slides)
	}
	s.pins(it, p)
	p.counts(it)
	if p.salt>>24%3 == 0 {
		it["taken_at_ts"] = p.takenAt.Unix()
	}
	if p.guest != nil {
		it["coauthor_producers"] = []object{p.guest.user()}
	} else if p.foreign != "" {
		it["coauthor_producers"] = []object{viewer.user()}
	}
	if s.o.PadBytes > 0 {
		it["video_dash_manifest"] = s.pad
	}
	return it
}

// jsonNumber makes an id that is sent as a number.
type jsonNumber string

// MarshalJSON writes the digits as they are.
func (n jsonNumber) MarshalJSON() ([]byte, error) { return []byte(n), nil }

func with(o object, key string, v any) object {
	out := object{key: v}
	for k, x := range o {
		out[k] = x
	}
	return out
}

// pins shows the pins in every way that lists are seen to: arrays always, is_pinned mostly.
func (s *Server) pins(it object, p *post) {
	id := []jsonNumber{jsonNumber(p.owner.id)}
	if p.gridPin {
		it["timeline_pinned_user_ids"] = id
	}
	if p.reelPin {
		it["clips_tab_pinned_user_ids"] = id
	}
	if p.salt>>32%4 != 0 {
		it["is_pinned"] = p.gridPin || p.reelPin
	}
}

// counts writes the metrics: nested, flat or both, now and then without a value.
func (p *post) counts(it object) {
	likes := 50 + int(p.salt>>20%20_000)
	m := object{
		"comment_count": likes / 40, "fb_like_count": 0, "fb_play_count": nil, "like_count": likes, "play_count": nil,
		"save_count": nil, "share_count": likes / 90, "user_follower_count": nil, "user_media_count": nil, "view_count": nil,
	}
	if p.form == 2 {
		m["play_count"] = likes * 21
	}
	if p.foreign == "" && p.salt>>44%8 != 0 {
		m["user_media_count"] = p.owner.media()
	}
	if it["like_and_view_counts_disabled"] == true {
		m["like_count"], m["play_count"] = nil, nil
	}
	shape := p.salt >> 40 % 4
	if shape != 0 {
		it["metrics"] = m
	}
	if shape <= 1 {
		it["like_count"], it["comment_count"], it["play_count"] = m["like_count"], m["comment_count"], m["play_count"]
	}
}

// media is the account's own count: a post in both lists counts once.
func (a *account) media() int {
	if a.counted != 0 {
		return a.counted
	}
	shown := map[*post]bool{}
	for _, list := range [][]*post{a.grid, a.reels} {
		for _, p := range list {
			if p.owner == a && p.foreign == "" && !p.deleted {
				shown[p] = true
			}
		}
	}
	a.counted = len(shown)
	return a.counted
}

func (p *post) isAd() bool {
	return p.caption != nil && len(p.caption.mentions) > 0 && p.caption.mentions[0].Ad
}

func (p *post) captionObject(ownerID string) any {
	if p.caption == nil {
		return nil
	}
	tags, people := hashtag.FindAllString(p.caption.text, -1), mention.FindAllString(p.caption.text, -1)
	if tags == nil {
		tags = []string{}
	}
	if people == nil {
		people = []string{}
	}
	return object{
		"created_at": p.takenAt.Unix(), "created_at_utc": p.takenAt.Unix(), "did_report_as_spam": false, "hashtags": tags, "id": p.pk,
		"is_covered": false, "is_ranked_comment": false, "mentions": people, "pk": fmt.Sprint(18_000_000_000_000_000 + p.salt%99_999_999_999_999),
		"private_reply_status": 0, "share_enabled": false, "text": p.caption.text, "type": 1, "user_id": jsonNumber(ownerID),
	}
}

func (p *post) locationObject() any {
	at := p.location
	if at == nil {
		return nil
	}
	d := at.district
	o := object{
		"address": "", "city": "", "external_source": "facebook_places", "facebook_places_id": 111_500_000_000_000 + int64(p.salt%9_999_999),
		"has_viewer_saved": false, "lat": at.Lat, "lng": at.Lng, "name": at.Name, "pk": 219_000_000 + int64(p.salt%999_999), "short_name": at.Name,
	}
	if p.cityPin {
		o["name"], o["short_name"], o["lat"], o["lng"] = d.sido+" "+d.sigungu, d.sigungu, d.lat+0.004, d.lng-0.005
	}
	return o
}

// tagged is the restaurant's own account, for some posts whose restaurant has one.
func (p *post) tagged() any {
	if p.location == nil || !strings.Contains(p.location.Link, "instagram.com") {
		return nil
	}
	name := strings.Trim(strings.TrimPrefix(p.location.Link, "https://www.instagram.com"), "/")
	return []object{{"user": object{"full_name": p.location.Name, "pk": fmt.Sprint(60_000_000_000 + p.salt%999_999_999), "username": name}, "x": 0.5, "y": 0.5}}
}
