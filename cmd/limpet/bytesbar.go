package main

import (
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// bytesBar draws on a terminal how much of some files has been read. Elsewhere
// it is silent. It stands on standard error, since standard output is for what
// was found.
type bytesBar struct {
	all  *mpb.Progress
	bar  *mpb.Bar
	done atomic.Int64
}

func newBytesBar(t terminal, what string) *bytesBar {
	b := &bytesBar{}
	if !term.IsTerminal(int(t.err.Fd())) {
		return b
	}
	b.all = mpb.New(mpb.WithOutput(t.err), mpb.WithAutoRefresh())
	b.bar = b.all.New(0,
		mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.PrependDecorators(decor.Name(what+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte(" % .1f / % .1f"), decor.AverageSpeed(decor.SizeB1024(0), ", % .0f")),
		mpb.BarFillerTrim(),
		mpb.BarRemoveOnComplete(),
	)
	return b
}

// begin tells the total.
func (b *bytesBar) begin(total int64) {
	if b.bar != nil {
		b.bar.SetTotal(total, false)
	}
}

// add is for any goroutine.
func (b *bytesBar) add(n int64) {
	if b.bar != nil {
		b.bar.SetCurrent(b.done.Add(n))
	}
}

func (b *bytesBar) end() {
	if b.bar != nil {
		b.bar.Abort(true)
		b.all.Wait()
	}
}
