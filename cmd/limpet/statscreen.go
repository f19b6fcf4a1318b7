package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gdamore/tcell/v2"

	"limpet/internal/stat"
)

// errNoScreen says that the terminal cannot be drawn on.
var errNoScreen = errors.New("no screen on this terminal")

// looked is what one look brought.
type looked struct {
	sample stat.Sample
	err    error
}

// statScreen is what stands on the screen.
type statScreen struct {
	screen  tcell.Screen
	name    string
	last    stat.Sample // with an answer; its Up is false before the first
	silent  string      // why there is no answer now, "" when there is
	since   time.Time   // when there was none for the first time
	history []float64   // operations a second, the oldest first
	plain   bool        // the terminal shows no more than ASCII
	colours bool
}

// historyLength is how many looks back the curve goes at most.
const historyLength = 500

// showScreen draws looks until q, ctrl-C, a signal or the last look, and leaves
// the terminal as it was.
func showScreen(ctx context.Context, o *observer, interval time.Duration, count int) error {
	tty, err := tcell.NewStdIoTty()
	if err != nil {
		return errNoScreen
	}
	screen, err := tcell.NewTerminfoScreenFromTty(tty)
	if err != nil || screen.Init() != nil {
		return errNoScreen
	}
	defer screen.Fini() // also when this panics: nobody can type on a raw terminal
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	events, quit := make(chan tcell.Event), make(chan struct{})
	defer close(quit)
	go screen.ChannelEvents(events, quit)
	looks := make(chan looked)
	go keepLooking(ctx, o, interval, count, looks)

	s := &statScreen{screen: screen, name: o.name, plain: screen.CharacterSet() != "UTF-8", colours: os.Getenv("NO_COLOR") == "" && screen.Colors() >= 8}
	clock := time.NewTicker(time.Second) // what is old grows older on the screen
	defer clock.Stop()
	s.draw()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		case l, more := <-looks:
			if !more {
				return nil
			}
			s.take(l)
		case e, more := <-events:
			if !more {
				return nil
			}
			switch e := e.(type) {
			case *tcell.EventKey:
				if e.Key() == tcell.KeyCtrlC || e.Key() == tcell.KeyEscape || e.Rune() == 'q' || e.Rune() == 'Q' {
					return nil
				}
				if e.Key() == tcell.KeyCtrlL {
					screen.Sync()
				}
			case *tcell.EventResize:
				screen.Sync()
			}
		}
		s.draw()
	}
}

// keepLooking looks in the background: a store that hangs must not hold the
// screen up.
func keepLooking(ctx context.Context, o *observer, interval time.Duration, count int, out chan<- looked) {
	defer close(out)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		v, err := o.look(ctx)
		select {
		case <-ctx.Done():
			return
		case out <- looked{v, err}:
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n == count {
			return
		}
	}
}

func (s *statScreen) take(l looked) {
	if l.err != nil {
		if s.silent == "" {
			s.since = time.Now()
		}
		s.silent = l.sample.Error
		return
	}
	s.silent, s.last = "", l.sample
	s.history = append(s.history, l.sample.OpsPerSecond)
	if len(s.history) > historyLength {
		s.history = s.history[1:]
	}
}

const titleWidth = 15 // columns, of the titles

// draw writes the whole screen anew; the library sends what differs.
func (s *statScreen) draw() {
	width, height := s.screen.Size()
	s.screen.Clear()
	s.header(width)
	y := 2
	if s.last.Up {
		y = s.body(width, height)
	}
	if y < height {
		s.write(1, height-1, width, toneDim, "q ends this · values in red: data in danger, in yellow: look again")
	}
	s.screen.Show()
}

// header says who is looked at, and whether all is well.
func (s *statScreen) header(width int) {
	x := s.write(1, 0, width, toneTitle, "limpet stat")
	x = s.write(x+2, 0, width, tonePlain, s.name)
	if s.last.Up {
		x = s.write(x+2, 0, width, toneDim, fmt.Sprintf("%s, up %s", s.last.Server, seconds(float64(s.last.UptimeSeconds))))
	}
	if at := time.Now().Format(time.TimeOnly); x+2+len(at) < width {
		s.write(width-len(at)-1, 0, width, toneDim, at)
	}
	switch {
	case s.silent != "" && s.last.Up:
		s.write(1, 1, width, toneBad, fmt.Sprintf("NO ANSWER for %s: %s; trying again. These are the last values:", roughly(time.Since(s.since)), printable(s.silent)))
	case s.silent != "":
		s.write(1, 1, width, toneBad, fmt.Sprintf("NO ANSWER for %s: %s; trying again", roughly(time.Since(s.since)), printable(s.silent)))
	case !s.last.Up:
		s.write(1, 1, width, toneDim, "asking …")
	case s.last.RefusesWrites:
		s.write(1, 1, width, toneBad, "WRITES ARE REFUSED: "+s.last.RefusesBecause)
	case s.last.Loading:
		s.write(1, 1, width, toneWatch, "it is loading its files, and answers nothing else yet")
	}
}

// body writes the panel, from the third row on, and the curve under the
// operations. Where the screen is low it leaves out what only separates.
func (s *statScreen) body(width, height int) (y int) {
	lines := panel(s.last)
	rows := len(lines) + 1 // and the curve
	y = 2
	for i, l := range lines {
		if l.title == "" {
			if rows+4 <= height {
				y++
			}
			continue
		}
		if y >= height-1 {
			break
		}
		s.write(1, y, width, s.aged(toneTitle), l.title)
		x := titleWidth
		for _, p := range l.pieces {
			x = s.write(x, y, width, s.aged(p.tone), printable(p.text))
		}
		y++
		if i == 0 && y < height-1 {
			s.write(titleWidth, y, width, s.aged(toneGood), s.curve(width-titleWidth-1))
			y++
		}
	}
	return y
}

// aged is the tone of a value, or of an old one.
func (s *statScreen) aged(n tone) tone {
	if s.silent != "" {
		return toneDim
	}
	return n
}

// curve draws the newest operations a second.
func (s *statScreen) curve(width int) string {
	steps := []rune("▁▂▃▄▅▆▇█")
	if s.plain {
		steps = []rune("_.-~=+*#")
	}
	shown := s.history[max(0, len(s.history)-max(0, width)):]
	top := 1.0
	for _, v := range shown {
		top = max(top, v)
	}
	text := make([]rune, len(shown))
	for i, v := range shown {
		text[i] = steps[min(len(steps)-1, int(v/top*float64(len(steps))))]
	}
	return string(text)
}

// write writes text, cut at the edge, and answers the column behind it.
func (s *statScreen) write(x, y, width int, n tone, text string) int {
	runes := []rune(text)
	if room := max(0, width-x); len(runes) > room {
		runes = runes[:room]
		if room > 1 {
			runes[room-1] = '…'
		}
	}
	style := s.style(n)
	for _, r := range runes {
		if s.plain {
			r = ascii(r)
		}
		s.screen.SetContent(x, y, r, nil, style)
		x++
	}
	return x
}

// ascii stands in for what a terminal without Unicode does not show.
func ascii(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case r == '·':
		return '-'
	case r == '…':
		return '>'
	}
	return '.'
}

func (s *statScreen) style(n tone) tcell.Style {
	style := tcell.StyleDefault
	switch n {
	case toneTitle:
		return style.Bold(true)
	case toneDim:
		style = style.Dim(true)
		if s.colours {
			style = style.Foreground(tcell.ColorGray)
		}
	case toneBad:
		style = style.Bold(true)
		if s.colours {
			return style.Foreground(tcell.ColorRed)
		}
		return style.Reverse(true)
	case toneWatch:
		if s.colours {
			return style.Foreground(tcell.ColorYellow)
		}
		return style.Bold(true)
	case toneGood:
		if s.colours {
			return style.Foreground(tcell.ColorGreen)
		}
	}
	return style
}
