package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"
)

// The credential that the simulated upstream takes.
const (
	rapidKey  = "sim-rapidapi-key"
	rapidHost = "instagram-scraper-api2.p.rapidapi.com"
)

// errThrottled says that the upstream refused a call for its rate.
var errThrottled = errors.New("refused for its rate")

// crawl fetches every list of every account that the upstream knows.
func crawl(ctx context.Context, s *shop, o options, engine runner) error {
	hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * o.workers, MaxConnsPerHost: 0}, Timeout: time.Minute}
	var accounts []string
	if err := getJSON(ctx, hc, o.base+"/sim/accounts", &accounts); err != nil {
		return err
	}
	for _, a := range accounts {
		for _, list := range []string{"posts", "reels"} {
			if err := s.begin(ctx, a, list); err != nil {
				return err
			}
		}
	}
	// Burst 1: calls are spaced evenly. It is shared by all workers.
	limit := rate.NewLimiter(rate.Limit(o.rate), 1)
	s.fetch = func(ctx context.Context, st step) (page, error) {
		if err := limit.Wait(ctx); err != nil {
			return page{}, err
		}
		return fetch(ctx, hc, o.base, st)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- engine(ctx, s, o) }()
	select {
	case <-s.ended:
	case err := <-ended:
		select {
		case <-s.ended:
			return nil
		default:
			return errors.Join(errors.New("the engine ended before the lists"), err)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
	}
	return nil
}

// patiently asks again, a second after each refusal or failure, for engines that leave this to the job.
func (s *shop) patiently(ctx context.Context, st step) (page, error) {
	for {
		pg, err := s.fetch(ctx, st)
		if err == nil || ctx.Err() != nil {
			return pg, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return pg, ctx.Err()
		}
	}
}

// item is what is kept of a post, from the same fields that sumbi reads.
type item struct {
	PK      json.Number `json:"pk"`
	Code    string      `json:"code"`
	TakenAt int64       `json:"taken_at"`
	Type    int         `json:"media_type"`
	Product string      `json:"product_type"`
	Caption *struct {
		Text string `json:"text"`
	} `json:"caption"`
	Location *struct {
		Name string  `json:"name"`
		Lat  float64 `json:"lat"`
		Lng  float64 `json:"lng"`
	} `json:"location"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	Metrics struct {
		Likes    *int64 `json:"like_count"`
		Comments *int64 `json:"comment_count"`
		Plays    *int64 `json:"play_count"`
	} `json:"metrics"`
}

func fetch(ctx context.Context, hc *http.Client, base string, st step) (page, error) {
	q := url.Values{"username_or_id_or_url": {st.Account}}
	if st.Cursor != "" {
		q.Set("pagination_token", st.Cursor)
	}
	var body struct {
		Data struct {
			Items []item `json:"items"`
		} `json:"data"`
		Token *string `json:"pagination_token"`
	}
	if err := getJSON(ctx, hc, base+"/instagram/v1.2/"+st.List+"?"+q.Encode(), &body); err != nil {
		return page{}, err
	}
	var pg page
	for _, it := range body.Data.Items {
		data, err := json.Marshal(it)
		if err != nil {
			return page{}, err
		}
		pg.records = append(pg.records, record{it.PK.String(), time.Unix(it.TakenAt, 0).UTC().Format("2006-01-02T15:04:05.000Z"), string(data)})
	}
	if body.Token != nil {
		pg.next = *body.Token
	}
	return pg, nil
}

func getJSON(ctx context.Context, hc *http.Client, address string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-RapidAPI-Key", rapidKey)
	req.Header.Set("X-RapidAPI-Host", rapidHost)
	resp, err := hc.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		if resp.StatusCode == http.StatusTooManyRequests {
			return errThrottled
		}
		return fmt.Errorf("%s: %s", address, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
