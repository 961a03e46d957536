// Simd serves the imitated upstreams for people and for programs in other processes.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"sumbi/sim"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	var o sim.Options
	addr := flag.String("addr", "127.0.0.1:9900", "`address` to listen on")
	flag.Uint64Var(&o.Seed, "seed", 1, "which world")
	flag.IntVar(&o.Accounts, "accounts", 8, "influencers")
	flag.IntVar(&o.Posts, "posts", 100, "mean posts of an account")
	flag.DurationVar(&o.Latency, "latency", 0, "mean of an Instagram answer; the others take a fraction of it")
	flag.Float64Var(&o.Jitter, "jitter", 0.6, "spread of the latency, 0 to 1")
	flag.IntVar(&o.InstagramPerSecond, "instagram-per-second", 8, "calls of one key in a sliding second; 0 unlimited")
	flag.IntVar(&o.NaverPerSecond, "naver-per-second", 10, "likewise")
	flag.IntVar(&o.KakaoPerSecond, "kakao-per-second", 10, "likewise")
	flag.DurationVar(&o.BatchStep, "batch-step", 2*time.Second, "time of a batch in each state")
	flag.Int64Var(&o.EnqueuedTokens, "enqueued-tokens", 0, "tokens of all unfinished batches of one model; 0 unlimited")
	flag.StringVar(&o.WebhookURL, "webhook", "", "`URL` that gets OpenAI's events")
	flag.DurationVar(&o.Arrival, "arrival", 0, "a call reaches its meter a random time below this after it was received")
	flag.BoolVar(&o.CountRefused, "count-refused", false, "refused calls count against the limit, too")
	flag.BoolVar(&o.Mute, "mute", false, "no post has a caption, so that nothing follows a crawl")
	flag.Func("lists", "exact `lengths` of lists in pages, posts by reels, one pair an account: 30x15,8x2", func(s string) (err error) {
		o.Lists, err = sim.ParseLengths(s)
		return err
	})
	flag.IntVar(&o.PadBytes, "pad", 0, "ballast in each Instagram item, bytes")
	flag.IntVar(&o.Velog.Users, "velog-users", 3, "users of velog")
	flag.IntVar(&o.Velog.Posts, "velog-posts", 20, "mean posts of a user of velog")
	flag.IntVar(&o.Velog.Dead, "velog-dead", 0, "users of velog, from the end, whose sessions have ended")
	flag.BoolVar(&o.Velog.Series, "velog-series", false, "statistics of velog have their days, as until November 2023")
	flag.DurationVar(&o.Velog.TooOld, "velog-too-old", 0, "statistics of posts of this age always take velog too long; 0 never")
	flag.DurationVar(&o.Velog.Latency, "velog-latency", 0, "mean of an answer of velog")
	flag.DurationVar(&o.Velog.PerYear, "velog-per-year", 0, "added to that of statistics for each year of the post's age")
	flag.IntVar(&o.Velog.PerSecond, "velog-per-second", 0, "calls of velog in a sliding second; 0 unlimited")
	velogStill := flag.Bool("velog-still", false, "velog's clock moves by POST /sim/velog/advance?by=24h only")
	velogFails := flag.Float64("velog-fails", 0, "probability that the statistics of a post take velog too long")
	trouble := flag.Float64("trouble", 0, "probability of each of the common faults")
	flag.Parse()
	if *trouble > 0 {
		o.Faults = sim.Trouble(*trouble)
	}
	if *velogFails > 0 {
		o.Faults.Velog.Timeout = sim.Often(*velogFails)
	}
	if !*velogStill {
		o.Velog.Now = time.Now
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	s := sim.New(o)
	defer s.Close()
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	base := "http://" + l.Addr().String()
	fmt.Print(s.TOML(base))
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serve: %w", err)
	}
	fmt.Println(s.Stats())
	return nil
}
