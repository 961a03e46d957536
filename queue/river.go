package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"sumbi/adapters"
)

// work lets River bring the news that a lane has something to do.
func (c *cluster) work(ctx, hard context.Context, w *Worker, fail context.CancelCauseFunc, wg *sync.WaitGroup) {
	if c.plain {
		for _, l := range w.Lanes {
			c.mu.Lock()
			c.holds[l.Name] = l.hold()
			c.mu.Unlock()
			wg.Go(func() { c.lane(ctx, hard, w, l, fail) })
		}
		return
	}
	h := &hands{lanes: map[string]*laneRun{}, soft: ctx, hard: hard, cluster: c}
	queues, rescue := map[string]river.QueueConfig{}, time.Duration(0)
	c.mu.Lock()
	for _, l := range w.Lanes {
		h.lanes[l.Name] = &laneRun{Worker: w, Lane: l, breaker: w.breaker(l.Name, l), fail: fail, window: newWindow(&c.unwritten)}
		queues[riverQueue(l.Name)] = river.QueueConfig{MaxWorkers: min(max(l.Workers, 1), river.QueueNumWorkersMax)}
		c.holds[l.Name] = l.hold() + storeTime
		rescue = max(rescue, l.hold()+storeTime)
	}
	c.mu.Unlock()
	workers := river.NewWorkers()
	river.AddWorker(workers, h)
	wg.Go(func() {
		var client *river.Client[pgx.Tx]
		for {
			var err error
			client, err = river.NewClient(riverpgxv5.New(c.pool), &river.Config{
				ID: c.machine, Queues: queues, Workers: workers, Logger: quiet(w.Log),
				FetchCooldown: 2 * time.Millisecond, FetchPollInterval: poll,
				JobTimeout: -1, RescueStuckJobsAfter: permitPause + rescue, MaxAttempts: riverAttempts,
				CompletedJobRetentionPeriod: time.Minute, CancelledJobRetentionPeriod: time.Hour, DiscardedJobRetentionPeriod: time.Hour,
				RetryPolicy: soon{},
			})
			if err == nil {
				err = client.Start(context.WithoutCancel(ctx))
			}
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			w.Log.Warn("river does not start", "err", c.explain(err))
			sleep(ctx, poll)
		}
		<-ctx.Done()
		// Steps in flight end by themselves, at the latest when hard does. River is not waited for: what it has not written it
		// finds out later.
		if h.enter() { // whoever enters from now on sees that the work has ended
			h.running.Done()
		}
		h.running.Wait()
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeAfter)
		defer cancel()
		if err := client.StopAndCancel(end); err != nil {
			w.Log.Warn("river does not stop", "err", err)
		}
	})
}

// closeAfter is how long River and the connections are waited for at the end.
const closeAfter = 5 * time.Second

// enter counts work that begins, unless the work ends.
func (h *hands) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.soft.Err() != nil {
		return false
	}
	h.running.Add(1)
	return true
}

// riverAttempts is how often River hands out a job whose end it does not hear of.
const riverAttempts = 1000

// hands works on what River brings.
type hands struct {
	river.WorkerDefaults[ready]
	*cluster
	lanes      map[string]*laneRun
	soft, hard context.Context
	running    sync.WaitGroup
}

// Work takes the lane's best job once there is a permit for it, and does it.
func (h *hands) Work(_ context.Context, job *river.Job[ready]) error {
	r := h.lanes[job.Args.Lane]
	if r == nil {
		return river.JobSnooze(time.Minute) // another machine may have the lane
	}
	if !h.enter() {
		return river.JobSnooze(0)
	}
	defer h.running.Done()
	if r.Stopped(r.Name) != "" {
		sleep(h.soft, permitPause) // the slot is kept, or this machine would take what the others could do
		return river.JobSnooze(0)
	}
	some, _, err := h.ready(h.soft, r.Name, 0)
	if err != nil || !some {
		return err
	}
	wait, cancel := context.WithTimeout(h.soft, permitPause)
	defer cancel()
	_, back, ok := r.pass(wait)
	if !ok {
		return river.JobSnooze(0)
	}
	defer back()
	if !r.window.enter(wait) {
		return river.JobSnooze(0)
	}
	stored := false
	defer func() { r.window.leave(stored) }()
	pctx, release := h.soft, func() {}
	if r.Gate != nil {
		if pctx, release, err = r.Gate.Permit(wait); err != nil {
			if wait.Err() != nil {
				return river.JobSnooze(0)
			}
			if k := adapters.Classify(err).Kind; k == adapters.NeedsHuman || k == adapters.Unauthorized {
				r.stop(h.soft, r.Name, err)
			} else {
				r.Log.Warn("permit", "lane", r.Name, "err", err)
			}
			sleep(h.soft, poll)
			return river.JobSnooze(0)
		}
	}
	jobs, err := h.take(h.soft, r.Name, 1, true)
	if err != nil || len(jobs) == 0 {
		release()
		return h.later(r.Name, err)
	}
	defer h.flight(jobs[0].ID)()
	stored = true
	r.step(context.WithoutCancel(pctx), h.soft, h.hard, release, r.Lane, jobs[0], r.fail)
	return nil
}

// later keeps the news when nothing was taken: the job may have been locked by a commit that changes its priority.
func (h *hands) later(lane string, err error) error {
	if err != nil {
		return err
	}
	some, _, err := h.ready(h.soft, lane, 0)
	if err != nil || !some {
		return err
	}
	sleep(h.soft, lockPause)
	return river.JobSnooze(0)
}

// lockPause is how long a commit that has locked a job is waited for.
const lockPause = 20 * time.Millisecond

// soon tries again what failed because the database was away.
type soon struct{}

// NextRetry implements river.ClientRetryPolicy.
func (soon) NextRetry(*rivertype.JobRow) time.Time { return time.Now().Add(time.Second) }

// quiet passes on what a person should know.
func quiet(log *slog.Logger) *slog.Logger {
	return slog.New(above{log.Handler()})
}

type above struct{ slog.Handler }

// Enabled implements slog.Handler.
func (a above) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && a.Handler.Enabled(ctx, l)
}
