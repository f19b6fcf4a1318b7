package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/term"
)

// patience is how long a watch waits for a service that does not answer: it may
// be restarting, and then goes on where it was.
const patience = time.Minute

// view is what a watcher shows at one moment.
type view struct {
	progress
	raw  []byte        // the API's answer
	rate float64       // pages a second, lately
	left time.Duration // until the end at this rate; negative when unknown
}

// display shows views; end is called once, after the last.
type display interface {
	show(view)
	trouble(error) // no answer for now
	end(*view)     // nil when the watch broke off
}

// watch shows a seed's progress until it is finished. It fails with exitNo when
// the seed was cancelled.
func watch(ctx context.Context, t terminal, r *remote, seed string, interval time.Duration) error {
	if interval < 10*time.Millisecond {
		return failf(exitUsage, "--interval %v: want 10ms or more", interval)
	}
	var d display
	switch {
	case r.JSON:
		d = &jsonLines{t: t}
	case term.IsTerminal(int(t.out.Fd())):
		d = newBar(t, seed)
	default:
		d = &plainLines{t: t, seed: seed}
	}
	last, err := follow(ctx, r, seed, interval, d)
	d.end(last)
	switch {
	case err != nil:
		return err
	case last.Status == "cancelled":
		return &failure{code: exitNo}
	}
	return nil
}

// follow looks again and again, and answers the last view of a finished seed.
func follow(ctx context.Context, r *remote, seed string, interval time.Duration, d display) (*view, error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var speed meter
	var answered time.Time
	for {
		p, raw, err := r.progress(ctx, seed)
		now := time.Now()
		var f *failure
		switch {
		case err == nil:
			answered = now
			v := view{progress: p, raw: raw}
			v.rate, v.left = speed.add(now, p)
			if p.finished() {
				return &v, nil
			}
			d.show(v)
		case !errors.As(err, &f) || f.code != exitUnreachable && f.code != exitLater, now.Sub(answered) > patience:
			return nil, err
		default:
			d.trouble(err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// meter tells how fast pages are done, over the last few seconds.
type meter struct{ samples []sample }

type sample struct {
	at   time.Time
	done int64
}

const meterSpan = 15 * time.Second

// add takes the newest figures and answers pages a second, and how long the
// pending ones take at this rate; -1 when that cannot be told.
func (m *meter) add(at time.Time, p progress) (rate float64, left time.Duration) {
	if n := len(m.samples); n > 0 && p.done() < m.samples[n-1].done {
		m.samples = m.samples[:0] // retried, or a new generation
	}
	m.samples = append(m.samples, sample{at, p.done()})
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) >= meterSpan {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	seconds := at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0, -1
	}
	rate = float64(p.done()-first.done) / seconds
	if rate <= 0 || p.Status == "paused" {
		return rate, -1
	}
	return rate, time.Duration(float64(p.Pending) / rate * float64(time.Second))
}

// jsonLines prints the API's answer whenever the figures change.
type jsonLines struct {
	t     terminal
	shown progress
}

func (j *jsonLines) show(v view) {
	v.LastCrawledAt = nil // a new one comes with new figures
	if v.progress != j.shown {
		j.shown = v.progress
		_ = j.t.print("%s", v.raw)
	}
}

func (j *jsonLines) trouble(error) {}

func (j *jsonLines) end(v *view) {
	if v != nil {
		_ = j.t.print("%s", v.raw)
	}
}

// plainEvery is how often a log gets a line while only figures change.
const plainEvery = 2 * time.Second

// plainLines prints lines for a log.
type plainLines struct {
	t      terminal
	seed   string
	at     time.Time // of the last line
	status string    // in the last line
	done   int64     // in the last line
	silent bool      // the service does not answer, and that was said
}

func (l *plainLines) show(v view) {
	l.silent = false
	now := time.Now()
	if v.Status == l.status && (v.done() == l.done || now.Sub(l.at) < plainEvery) {
		return
	}
	l.at, l.status, l.done = now, v.Status, v.done()
	_ = l.t.print("%s  %s  %s  %s  %s", now.Format(time.TimeOnly), l.seed, v.Status, figures(v), pace(v))
}

func (l *plainLines) trouble(err error) {
	if !l.silent {
		_, _ = fmt.Fprintf(l.t.err, "limpet: %s; trying again\n", printable(err.Error()))
	}
	l.silent = true
}

func (l *plainLines) end(v *view) {
	if v != nil {
		_ = l.t.print("%s  %s  %s  %s", time.Now().Format(time.TimeOnly), l.seed, v.Status, figures(*v))
	}
}

func figures(v view) string {
	return fmt.Sprintf("%d/%d pages (%.2f %%), %d crawled, %d failed, %d skipped",
		v.done(), v.Total, v.Percentage, v.Crawled, v.Failed, v.Skipped)
}

// pace words the rate and the time left.
func pace(v view) string {
	if v.left < 0 {
		return fmt.Sprintf("%.1f/s", v.rate)
	}
	return fmt.Sprintf("%.1f/s, %s left", v.rate, roughly(v.left))
}

// roughly words a duration in its two largest units.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Round(time.Second)/time.Second))
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 100*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
