package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// levelVerbose is redis-server's level between debug and notice.
const levelVerbose = slog.Level(-2)

// slogLevels are loglevel's words. What redis-server calls a notice is an Info
// here, and whatever is more than that a warning.
var slogLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "verbose": levelVerbose, "notice": slog.LevelInfo, "warning": slog.LevelWarn,
}

// redisLog writes as redis-server 7.0 does, for whoever reads its logs:
//
//	17468:M 23 Nov 2026 07:23:26.824 * Ready to accept connections
//	pid   role                       level: . debug, - verbose, * notice, # warning
type redisLog struct {
	out   io.Writer
	mu    *sync.Mutex // one line at a time
	level slog.Leveler
	role  *atomic.Int32 // C while starting, M as a server
	attrs string
}

func newRedisLog(out io.Writer, level slog.Leveler) *redisLog {
	h := &redisLog{out: out, mu: new(sync.Mutex), level: level, role: new(atomic.Int32)}
	h.role.Store('C')
	return h
}

func (h *redisLog) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *redisLog) Handle(_ context.Context, r slog.Record) error {
	mark := '#'
	switch {
	case r.Level < levelVerbose:
		mark = '.'
	case r.Level < slog.LevelInfo:
		mark = '-'
	case r.Level < slog.LevelWarn:
		mark = '*'
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%c %s %c %s%s", os.Getpid(), h.role.Load(), r.Time.Format("02 Jan 2006 15:04:05.000"), mark, r.Message, h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, a)
		return true
	})
	return h.line(b.String())
}

// signal writes as redis-server's signal handler does.
func (h *redisLog) signal(now time.Time, text string) {
	_ = h.line(fmt.Sprintf("%d:signal-handler (%d) %s", os.Getpid(), now.Unix(), text))
}

func (h *redisLog) line(s string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.out, s+"\n")
	return err
}

func writeAttr(b *strings.Builder, a slog.Attr) {
	text := a.Value.Resolve().String()
	if text == "" || strings.ContainsAny(text, " \t\r\n\"=") {
		text = strconv.Quote(text)
	}
	b.WriteString(" " + a.Key + "=" + text)
}

func (h *redisLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	for _, a := range attrs {
		writeAttr(&b, a)
	}
	with := *h
	with.attrs += b.String()
	return &with
}

// WithGroup changes nothing: nobody here uses groups, and the format has none.
func (h *redisLog) WithGroup(string) slog.Handler { return h }
