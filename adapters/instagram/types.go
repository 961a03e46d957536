package instagram

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Post is the form of Record.Data: what a pipeline may rely on, with its keys in this order. It holds no media URLs, which
// expire. Counts change from day to day; the rest changes only when somebody edits the post.
type Post struct {
	ID        string    `json:"id"`       // media id, decimal digits; also the key of the record
	Code      string    `json:"code"`     // short code
	URL       string    `json:"url"`      // https://www.instagram.com/p/CODE/
	Account   string    `json:"account"`  // user name of the owner, who may be a co-author of the account asked for
	Caption   string    `json:"caption"`  // as written; "" when there is none
	Edited    bool      `json:"edited"`   // the caption was edited
	Hashtags  []string  `json:"hashtags"` // without #, in order, each once
	Mentions  []string  `json:"mentions"` // without @, in order, each once
	Kind      string    `json:"kind"`     // KindPost, KindReel or KindAlbum
	Paid      bool      `json:"paid"`     // marked as a paid partnership
	Location  *Location `json:"location,omitempty"`
	Tagged    []string  `json:"tagged"`             // user names tagged in the picture
	Coauthors []string  `json:"coauthors"`          // user names of those who publish it too
	Likes     *int64    `json:"likes,omitempty"`    // absent when unknown or hidden
	Comments  *int64    `json:"comments,omitempty"` // absent when unknown
	Plays     *int64    `json:"plays,omitempty"`    // absent when unknown or hidden
}

// The kinds of a post.
const (
	KindPost  = "post"  // one picture, or a video of the old kind
	KindReel  = "reel"  // a short video
	KindAlbum = "album" // several pictures or videos
)

// Location is the place that the author attached. It may be a whole city.
type Location struct {
	Name    string   `json:"name"`
	Address string   `json:"address,omitempty"`
	City    string   `json:"city,omitempty"`
	Lat     *float64 `json:"lat,omitempty"` // degrees, WGS84; both absent when unknown
	Lng     *float64 `json:"lng,omitempty"`
}

func (p *Post) encode() json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // people read it in the state file
	// A struct of strings, flags and finite numbers always encodes.
	_ = enc.Encode(p)
	return bytes.TrimSpace(b.Bytes())
}

// item is one post as the upstream writes it. Values of another type than expected are left empty.
type item struct {
	ID         word     `json:"id"` // "<media>_<user>"
	PK         word     `json:"pk"`
	Code       word     `json:"code"`
	TakenAt    number   `json:"taken_at"`
	TakenAtTS  number   `json:"taken_at_ts"`
	MediaName  word     `json:"media_name"`
	MediaType  number   `json:"media_type"`
	Product    word     `json:"product_type"`
	IsPinned   flag     `json:"is_pinned"`
	GridPins   bunch    `json:"timeline_pinned_user_ids"`
	ReelPins   bunch    `json:"clips_tab_pinned_user_ids"`
	Caption    caption  `json:"caption"`
	Edited     flag     `json:"caption_is_edited"`
	Paid       flag     `json:"is_paid_partnership"`
	Location   location `json:"location"`
	Tagged     bunch    `json:"tagged_users"`
	Coauthors  bunch    `json:"coauthor_producers"`
	User       user     `json:"user"`
	Owner      user     `json:"owner"`
	HideCounts flag     `json:"like_and_view_counts_disabled"`
	Metrics    counts   `json:"metrics"`
	counts              // newer lists have them here, or at both places

	key string          // media id
	raw json.RawMessage // what all of this was read from
}

type counts struct {
	Likes          number `json:"like_count"`
	Comments       number `json:"comment_count"`
	Plays          number `json:"play_count"`
	IGPlays        number `json:"ig_play_count"`
	Views          number `json:"view_count"`
	UserMediaCount number `json:"user_media_count"`
}

type caption struct {
	Text     word  `json:"text"`
	Hashtags bunch `json:"hashtags"`
	Mentions bunch `json:"mentions"`
}

type location struct {
	Name      word   `json:"name"`
	ShortName word   `json:"short_name"`
	Address   word   `json:"address"`
	City      word   `json:"city"`
	Lat       number `json:"lat"`
	Lng       number `json:"lng"`
}

type user struct {
	ID         word   `json:"id"`
	Username   word   `json:"username"`
	IsPrivate  flag   `json:"is_private"`
	MediaCount number `json:"media_count"`
}

// name is the user name as accounts are written here.
func (u user) name() string { return strings.ToLower(u.Username.text) }

// tag is an element of tagged_users: the user is below, or is the element itself.
type tag struct {
	User     user `json:"user"`
	Username word `json:"username"`
}
