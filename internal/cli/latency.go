package cli

import (
	"time"
)

const (
	latencyPause   = 10 * time.Millisecond // between two samples
	latencySample  = time.Second           // how long to sample for one line of output
	latencyHistory = 15 * time.Second      // the same, with --latency-history
)

// samples is the times of a row of PINGs, in milliseconds.
type samples struct {
	min, max, sum, count int64
}

func (m *samples) add(ms int64) {
	if m.count == 0 {
		m.min = ms
	}
	m.min, m.max = min(m.min, ms), max(m.max, ms)
	m.sum += ms
	m.count++
}

// latency samples how long a PING takes: into a pipe for a while, then prints
// the result and ends; on a terminal for ever, the result on one line.
func (s *session) latency() error {
	span, row := latencySample, latencyHistory
	if s.o.interval != 0 {
		span, row = s.o.interval, s.o.interval
	}
	var m samples
	for begin := time.Now(); ; {
		start := time.Now()
		if _, err := s.patiently("PING"); err != nil {
			return err
		}
		m.add(time.Since(start).Milliseconds())
		if s.o.form == formTerminal {
			s.printf("\x1b[0G\x1b[2K") // over the line before
			s.showLatency(m)
		} else if !s.o.history && time.Since(begin) > span {
			s.showLatency(m)
			return nil
		}
		if s.o.history && time.Since(begin) > row {
			if s.o.form != formTerminal {
				s.showLatency(m)
			}
			s.printf(" -- %.2f seconds range\n", time.Since(begin).Seconds())
			m, begin = samples{}, time.Now()
		}
		if err := s.out.Flush(); err != nil {
			return exit(1)
		}
		time.Sleep(latencyPause)
	}
}

func (s *session) showLatency(m samples) {
	formats := map[form]string{
		formTerminal: "min: %d, max: %d, avg: %.2f (%d samples)",
		formRaw:      "%d %d %.2f %d\n",
		formCSV:      "%d,%d,%.2f,%d\n",
		formJSON:     `{"min": %d, "max": %d, "avg": %.2f, "count": %d}` + "\n",
	}
	formats[formQuotedJSON] = formats[formJSON]
	s.printf(formats[s.o.form], m.min, m.max, float64(m.sum)/float64(m.count), m.count)
}
