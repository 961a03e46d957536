// Package config is what the user decides: sumbi.toml and the environment, read into structs and checked.
package config

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // the image may hold no zone files
)

// Config is everything that sumbi.toml and the environment say, with the defaults filled in.
type Config struct {
	Path   string // the file it was read from; "" for Default
	State  string // path of the state file
	Listen string // host:port of the dashboard; "" opens none

	AllowPrivate bool // a base_url's name may lead to private addresses

	Instagram Instagram
	OpenAI    OpenAI
	Naver     Naver
	Kakao     Kakao
	Velog     Velog
	Mongo     Mongo
	Queue     Queue
	Budget    Budget
	Map       Map
	Pipelines []Pipeline
	Secrets   Secrets

	prices map[string]price
}

// Instagram says how the Instagram scraper is reached.
type Instagram struct {
	BaseURL   string        // without a slash at the end; /posts and /reels lie below it
	Host      string        // the x-rapidapi-host header; BaseURL's host unless set
	PerSecond float64       // calls a second of each key; 0 is unlimited
	Timeout   time.Duration // of one call
	Price     float64       // dollars for 1,000 requests, in whole micro-dollars a request; 0 is free or not known
}

// OpenAI says how batches are made and watched.
type OpenAI struct {
	BaseURL        string
	Model          string
	Timeout        time.Duration // of one call, the upload of a whole batch included
	Poll           time.Duration // first pause between two looks at a batch; grows to ten times this
	MaxWait        time.Duration // the longest that a line waits for its batch to fill
	Settle         time.Duration // how long a new batch may take to show in the list of batches
	EnqueuedTokens int64         // tokens that may wait in unfinished batches of the model
	Attempts       int           // of one line
	MaxLines       int           // of one batch
	MaxBytes       int64         // of one batch's file
}

// Naver says how Naver's local search is reached.
type Naver struct {
	Dialect   string // "hub" or "legacy"
	BaseURL   string
	PerSecond float64 // 0 is unlimited
	PerDay    int     // calls in a Korean day; 0 is unlimited
	Keep      string  // "all", or "own": only what came from the post, the link and the search words
	Timeout   time.Duration
	Cache     time.Duration // the same question is not asked again within it; 0 always asks
	Price     float64       // dollars for 1,000 requests, in whole micro-dollars a request; 0 is free or not known
}

// Kakao says how Kakao's local search is reached.
type Kakao struct {
	BaseURL   string
	PerSecond float64 // 0 is unlimited
	PerDay    int     // calls in a Korean day; 0 is unlimited
	Timeout   time.Duration
	Cache     time.Duration // the same question is not asked again within it; 0 always asks
	Price     float64       // dollars for 1,000 requests, in whole micro-dollars a request; 0 is free or not known
}

// Velog says how velog's GraphQL servers are reached, and how long its counters are kept.
type Velog struct {
	StatsURL  string        // of statistics; the cache in front of the older server, or that server
	UsersURL  string        // of users and their log-ins: the newer server
	Posts     string        // "v2": lists of posts come from StatsURL, in its dialect; "v3": from UsersURL
	PerSecond float64       // calls in any second, of all users together; 0 is unlimited
	Timeout   time.Duration // of one call
	Slow      time.Duration // how long a post is left alone whose statistics took velog too long
	Attempts  int           // before something is left to the user's next turn
	Keep      time.Duration // for how long days are kept; 0 is for ever
}

// Mongo says where everything goes when MONGODB_URI is set.
type Mongo struct {
	Database   string
	Collection string // of places
}

// Queue says how patient the engine is.
type Queue struct {
	Attempts   int           // before a job is dead
	Backoff    time.Duration // pause after the first failure; doubles with each further one
	BackoffMax time.Duration // longest pause
}

// Budget says how many dollars may be spent; 0 is no bound.
type Budget struct {
	Run   float64 // of one run
	Month float64 // of a Korean month, over all pipelines
}

// Map says what lies under the places on the map of the page.
type Map struct {
	Tiles          string // address of a tile, with {z}, {x} and {y}, and {s} for one of a, b and c; "" draws an outline of Korea alone
	Attribution    string // whose tiles they are
	AttributionURL string // where that leads; "" nowhere
}

// MicroUSD turns dollars into whole micro-dollars.
func MicroUSD(dollars float64) int64 { return int64(math.Round(dollars * 1e6)) }

// Default returns the configuration of a machine that has neither a file nor secrets.
func Default() *Config {
	return &Config{
		State:  "sumbi.db",
		Listen: "127.0.0.1:8080",
		Instagram: Instagram{
			BaseURL:   "https://instagram-scraper-api2.p.rapidapi.com/v1.2",
			Host:      "instagram-scraper-api2.p.rapidapi.com",
			PerSecond: 8,
			Timeout:   time.Minute,
		},
		OpenAI: OpenAI{
			BaseURL:        "https://api.openai.com/v1",
			Model:          "gpt-5-mini",
			Timeout:        15 * time.Minute,
			Poll:           time.Minute,
			MaxWait:        time.Hour,
			Settle:         30 * time.Second,
			EnqueuedTokens: 2_000_000,
			Attempts:       5,
			MaxLines:       batchLines,
			MaxBytes:       190 << 20,
		},
		Naver: Naver{
			Dialect:   "hub",
			BaseURL:   naverHub,
			PerSecond: 5,
			PerDay:    25_000,
			Keep:      "all",
			Timeout:   10 * time.Second,
			Cache:     720 * time.Hour,
		},
		Kakao: Kakao{
			BaseURL:   "https://dapi.kakao.com",
			PerSecond: 10,
			PerDay:    100_000,
			Timeout:   10 * time.Second,
			Cache:     720 * time.Hour,
		},
		Velog: Velog{
			StatsURL:  "https://v2cdn.velog.io",
			UsersURL:  "https://v3.velog.io",
			Posts:     "v3",
			PerSecond: 10,
			Timeout:   10 * time.Second,
			Slow:      time.Hour,
			Attempts:  3,
		},
		Mongo: Mongo{Database: "sumbi", Collection: "places"},
		Queue: Queue{Attempts: 12, Backoff: time.Second, BackoffMax: 5 * time.Minute},
		Map: Map{
			Tiles:          "https://tile.openstreetmap.org/{z}/{x}/{y}.png",
			Attribution:    "© OpenStreetMap contributors",
			AttributionURL: "https://www.openstreetmap.org/copyright",
		},
		prices: embeddedPrices(),
	}
}

const (
	naverHub    = "https://naverapihub.apigw.ntruss.com"
	naverLegacy = "https://openapi.naver.com"

	batchLines = 50_000    // OpenAI accepts no more in one batch
	batchBytes = 200 << 20 // nor a larger file
)

// Dir is the folder that names in the file are relative to.
func (c *Config) Dir() string {
	if c.Path == "" {
		return "."
	}
	return filepath.Dir(c.Path)
}

// Pipeline returns the pipeline of that name. The *Error for an unknown one suggests the nearest.
func (c *Config) Pipeline(name string) (Pipeline, error) {
	var names []string
	for _, p := range c.Pipelines {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if len(names) == 0 {
		return Pipeline{}, &Error{File: c.Path, Msg: fmt.Sprintf("there is no pipeline %q: add a [[pipeline]] section", name)}
	}
	return Pipeline{}, &Error{File: c.Path, Msg: fmt.Sprintf("there is no pipeline %q: %s", name, Suggest(name, names))}
}

// Error is a mistake of the user in the file or the environment, as one sentence that says what to do.
type Error struct {
	File string // "" when the mistake is not in a file
	Line int    // 0 when it is not in one line
	Msg  string
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}
