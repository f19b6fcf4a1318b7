package main

import (
	"fmt"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// bar draws a seed's progress on a terminal.
type bar struct {
	t      terminal
	seed   string
	shown  atomic.Pointer[view] // what the library's goroutine draws
	silent atomic.Bool          // the service does not answer
	all    *mpb.Progress
	bar    *mpb.Bar
}

func newBar(t terminal, seed string) *bar {
	b := &bar{t: t, seed: seed, all: mpb.New(mpb.WithOutput(t.out), mpb.WithAutoRefresh())}
	b.shown.Store(&view{left: -1})
	b.bar = b.all.New(0, // the total is told with every view, since it grows
		mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.PrependDecorators(decor.Name(seed+" ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return b.caption() })),
		mpb.BarFillerTrim(), // the decorators bring their own spaces
		mpb.BarRemoveOnComplete(),
	)
	return b
}

func (b *bar) caption() string {
	v := b.shown.Load()
	if b.silent.Load() {
		return " no answer, trying again"
	}
	text := fmt.Sprintf(" %d/%d pages, %.1f/s, %d failed", v.done(), v.Total, v.rate, v.Failed)
	switch {
	case v.Status != "running":
		return text + ", " + v.Status
	case v.left >= 0:
		return text + ", " + roughly(v.left) + " left"
	}
	return text
}

func (b *bar) show(v view) {
	b.silent.Store(false)
	b.shown.Store(&v)
	b.bar.SetTotal(v.Total, false)
	b.bar.SetCurrent(v.done())
}

func (b *bar) trouble(error) { b.silent.Store(true) }

func (b *bar) end(v *view) {
	b.bar.Abort(true)
	b.all.Wait()
	if v != nil {
		_ = b.t.print("%s: %s, %s", b.seed, v.Status, figures(*v))
	}
}
