package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"sumbi/adapters"
	"sumbi/jobs/match"
	"sumbi/queue"
)

// PromptVersion is part of every question's key: a new prompt or schema asks every caption anew.
const PromptVersion = "1"

// Prompt tells the model what to do with a caption.
const Prompt = `You read captions of Korean food influencers on Instagram and list every restaurant, café, bar or food shop that the caption presents as a place to go.
Copy every string exactly as it stands in the caption, in its own language and spelling, without adding or correcting anything; use null for what the caption does not say.
name: the shop's name without its branch. A hashtag such as #을지로골목집맛집 may hold it: give 골목집.
branch: the branch as written (강남점, 본점, 2호점).
address: the address as written, as completely as it is written.
area: the neighbourhood, station or city as written (연남동, 서울숲, 부산 서면).
phone: the telephone number as written.
menu: dishes of this shop that the caption names, with the price in won as a whole number, or null where no price stands.
ad: true if the caption says that the post is advertising, sponsored, or that food or money was provided (광고, 협찬, 제공, 체험단), else false.
quote: the shortest piece of the caption that names the shop, copied character by character.
Give one entry per shop and branch, in the order of the caption. Brands of groceries, delivery apps, cooking at home, people, hotels without a restaurant and mere wishes are no entries.
A caption that names no such place has an empty list. Never guess a name from the kind of food.`

// Schema is the strict JSON schema of the answer.
const Schema = `{"type":"object","additionalProperties":false,"required":["restaurants"],"properties":{"restaurants":{"type":"array","items":{"type":"object","additionalProperties":false,` +
	`"required":["name","branch","address","area","phone","menu","ad","quote"],"properties":{` +
	`"name":{"type":"string"},"branch":{"type":["string","null"]},"address":{"type":["string","null"]},"area":{"type":["string","null"]},"phone":{"type":["string","null"]},` +
	`"menu":{"type":"array","items":{"type":"object","additionalProperties":false,"required":["name","price"],"properties":{"name":{"type":"string"},"price":{"type":["integer","null"]}}}},` +
	`"ad":{"type":"boolean"},"quote":{"type":"string"}}}}}}`

// Restaurant is what the model says of one restaurant; strings are as written in the caption.
type Restaurant struct {
	Name    string `json:"name"`
	Branch  string `json:"branch"`
	Address string `json:"address"`
	Area    string `json:"area"`
	Phone   string `json:"phone"`
	Menu    []Dish `json:"menu"`
	Ad      bool   `json:"ad"`
	Quote   string `json:"quote"`
}

// Dish is one line of a menu. Price is in won; nil when the caption has none.
type Dish struct {
	Name  string `json:"name"`
	Price *int64 `json:"price"`
}

// UnmarshalJSON implements json.Unmarshaler. 15000.0 is a price, too, and what is no number of won is none.
func (d *Dish) UnmarshalJSON(data []byte) error {
	var in struct {
		Name  string   `json:"name"`
		Price *float64 `json:"price"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*d = Dish{Name: in.Name}
	if in.Price != nil && math.Abs(*in.Price) < 1<<53 {
		won := int64(math.Round(*in.Price))
		d.Price = &won
	}
	return nil
}

// post is what matzip reads of a post; the Instagram adapter writes it.
type post struct {
	Account  string `json:"account"`
	URL      string `json:"url"`
	Caption  string `json:"caption"`
	Location *struct {
		Name string  `json:"name"`
		Lat  float64 `json:"lat"`
		Lng  float64 `json:"lng"`
	} `json:"location"`
}

func readPost(data json.RawMessage) (post, error) {
	var p post
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("stored post: %w", err)
	}
	return p, nil
}

// Matzip completes a pipeline whose pages are Instagram posts: captions are asked about, mentions are searched.
func Matzip(p *Pipeline) *Pipeline {
	p.Lists, p.PageSize = []string{"posts", "reels"}, 12
	p.Saved = p.askAbout
	p.Ask.Check = func(answer json.RawMessage) error {
		_, err := readAnswer(answer)
		return err
	}
	p.Ask.Extracted = p.extracted
	p.Find.Mention = mentionOf
	return p
}

// askAbout puts the captions of new and edited posts to the model.
func (p *Pipeline) askAbout(tx *queue.Tx, all []queue.Stored) error {
	fresh := false
	for _, r := range all {
		po, err := readPost(r.Data)
		if err != nil {
			return err
		}
		if !namesSomething(po.Caption, r.Target, po.Account) {
			// An edit that took everything away takes the mentions along.
			if r.Question != "" {
				if _, err := tx.Extracted(r, "", nil); err != nil {
					return err
				}
			}
			if err := tx.Skip(r.ID); err != nil {
				return err
			}
			continue
		}
		id, text := question(po.Caption)
		if id == r.Question && r.Pipeline == p.Name {
			continue
		}
		answer, waits, err := tx.Ask(p.Name, r.ID, id, text)
		if err != nil {
			return err
		}
		fresh = fresh || waits
		if answer != nil && id != r.Question {
			r.Question = id
			if err := p.extracted(tx, r, answer); err != nil {
				return err
			}
		}
	}
	if !fresh {
		return nil
	}
	return WantBatch(tx, p.Name)
}

// question returns a caption's key and the text that is asked. Captions that differ only in Unicode form or in white space
// at the ends are one question.
func question(caption string) (id, text string) {
	text = strings.TrimSpace(norm.NFC.String(strings.ToValidUTF8(caption, "")))
	sum := sha256.Sum256([]byte(text))
	return "v" + PromptVersion + "-" + hex.EncodeToString(sum[:10]), text // 80 bits tell a billion captions apart
}

// namesSomething reports whether a caption could name a place: whether a letter or digit is left when mentions and hashtags
// of the influencer's own names are taken away. Nothing that could be a shop's name is ever taken away.
func namesSomething(caption string, own ...string) bool {
	for _, word := range strings.FieldsFunc(caption, func(r rune) bool { return unicode.IsSpace(r) }) {
		for _, part := range splitTags(word) {
			if !strings.ContainsFunc(part, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
				continue
			}
			name, tagged := strings.CutPrefix(part, "#")
			if !tagged {
				name, tagged = strings.CutPrefix(part, "@")
			}
			mine := false
			for _, o := range own {
				mine = mine || (o != "" && tagged && strings.EqualFold(name, o))
			}
			if !mine {
				return true
			}
		}
	}
	return false
}

// splitTags cuts a word before every # and @, because tags are often written without a space between them.
func splitTags(word string) []string {
	var parts []string
	start := 0
	for i, r := range word {
		if (r == '#' || r == '@') && i > start {
			parts = append(parts, word[start:i])
			start = i
		}
	}
	return append(parts, word[start:])
}

// readAnswer returns the entries of an answer that name a restaurant, counted from 0.
func readAnswer(answer json.RawMessage) (entries []int, err error) {
	var a struct {
		Restaurants []json.RawMessage `json:"restaurants"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("the answer is not what was asked for: %w", err)
	}
	for i, raw := range a.Restaurants {
		r, err := fieldsOf(raw)
		if err != nil {
			return nil, fmt.Errorf("the answer is not what was asked for: %w", err)
		}
		if strings.TrimSpace(r.Name) != "" {
			entries = append(entries, i)
		}
	}
	return entries, nil
}

// extracted turns an answer into mentions and a search for each.
func (p *Pipeline) extracted(tx *queue.Tx, rec queue.Stored, answer json.RawMessage) error {
	entries, err := readAnswer(answer)
	if err != nil {
		return fmt.Errorf("post %s: %w", rec.Key, err)
	}
	ids, err := tx.Extracted(rec, rec.Question, entries)
	if err != nil {
		return err
	}
	if ids, err = relabel(tx, rec, answer, entries, ids, p.Find.one()); err != nil {
		return fmt.Errorf("post %s: %w", rec.Key, err)
	}
	for _, id := range ids {
		if _, err := tx.Add(p.matchJob(id)); err != nil {
			return err
		}
	}
	return nil
}

// mentionOf gives the matcher what the post says.
func mentionOf(m queue.Mention) (match.Mention, error) {
	r, err := fieldsOf(m.Fields)
	if err != nil {
		return match.Mention{}, err
	}
	po, err := readPost(m.Record.Data)
	if err != nil {
		return match.Mention{}, err
	}
	mm := match.Mention{Name: r.Name, Branch: r.Branch, Address: r.Address, Area: r.Area, Phone: r.Phone}
	for _, d := range r.Menu {
		mm.Menu = append(mm.Menu, d.Name)
	}
	if l := po.Location; l != nil {
		mm.Location = &match.Location{Name: l.Name, Lat: l.Lat, Lng: l.Lng}
	}
	return mm, nil
}

// PlaceDocument is a place as the export prints it and as MongoDB holds it.
type PlaceDocument struct {
	ID           string            `json:"_id"`
	Name         string            `json:"name"`
	Category     *string           `json:"category,omitempty"` // the finder's texts are absent, not empty, where they are not kept
	Address      *string           `json:"address,omitempty"`
	RoadAddress  *string           `json:"roadAddress,omitempty"`
	Phone        *string           `json:"phone,omitempty"`
	Link         string            `json:"link"`
	Location     *Point            `json:"location,omitempty"`
	Finder       string            `json:"finder"`
	Sources      map[string]string `json:"sources,omitempty"` // whose a field is, by its name, where that is not Finder
	Query        string            `json:"query,omitempty"`
	Mentions     []MentionDocument `json:"mentions"`
	FirstSeen    string            `json:"firstSeen"`
	LastSeen     string            `json:"lastSeen"`
	MentionCount int               `json:"mentionCount"`
}

// Point is GeoJSON: longitude first.
type Point struct {
	Type        string     `json:"type"`
	Coordinates [2]float64 `json:"coordinates"`
}

// MentionDocument is one post that names a place.
type MentionDocument struct {
	Post    string  `json:"post"`
	Account string  `json:"account"`
	URL     string  `json:"url"`
	TakenAt string  `json:"takenAt"`
	Name    string  `json:"name"`
	Menu    []Dish  `json:"menu"`
	Ad      bool    `json:"ad"`
	Quote   string  `json:"quote"`
	Score   float64 `json:"score"`
}

const documentTime = "2006-01-02T15:04:05.000Z"

// Document composes a place with everybody who names it. A mention whose fields cannot be read any more has an empty name.
func Document(p queue.PlaceMentions) (PlaceDocument, error) {
	d := PlaceDocument{
		ID: p.ID, Name: p.Name, Link: p.Link,
		Finder: p.Finder, Query: p.Query, Mentions: []MentionDocument{}, MentionCount: len(p.Mentions),
	}
	// Only a place that keeps nothing of the finder's has its search words instead.
	if p.Query == "" {
		d.Category, d.Address, d.RoadAddress, d.Phone = &p.Category, &p.Address, &p.Road, &p.Phone
	}
	d.Sources = sources(p)
	if p.Lat != 0 && p.Lng != 0 {
		d.Location = &Point{Type: "Point", Coordinates: [2]float64{p.Lng, p.Lat}}
	}
	var first, last time.Time
	for _, m := range p.Mentions {
		r, err := fieldsOf(m.Fields)
		if err != nil {
			r = Restaurant{} // the place that was chosen stands
		}
		po, err := readPost(m.Record.Data)
		if err != nil {
			return d, err
		}
		at := m.Record.Time
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
		if r.Menu == nil {
			r.Menu = []Dish{}
		}
		d.Mentions = append(d.Mentions, MentionDocument{
			Post: m.Record.Key, Account: m.Record.Target, URL: po.URL, TakenAt: at.UTC().Format(documentTime),
			Name: r.Name, Menu: r.Menu, Ad: r.Ad, Quote: r.Quote, Score: m.Score,
		})
	}
	d.FirstSeen, d.LastSeen = first.UTC().Format(documentTime), last.UTC().Format(documentTime)
	return d, nil
}

// PlaceSink delivers places to a sink.
func PlaceSink(store *queue.Store, name string, sink adapters.Sink) Sink {
	return Sink{Name: name, Sink: sink, Document: func(ctx context.Context, stream, key string) (adapters.Record, error) {
		rec := adapters.Record{Stream: stream, Key: key}
		p, err := store.Place(ctx, key)
		if errors.Is(err, queue.ErrNotFound) {
			return rec, nil
		}
		if err != nil {
			return rec, err
		}
		d, err := Document(p)
		if err != nil {
			return rec, err
		}
		if rec.Data, err = json.Marshal(d); err != nil {
			return rec, err
		}
		rec.Time = p.Updated
		return rec, nil
	}}
}
