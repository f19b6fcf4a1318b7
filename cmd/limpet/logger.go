package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"
)

// logFlags say what is logged, and how.
type logFlags struct {
	LogFormat string `env:"LIMPET_LOG_FORMAT" enum:"text,json" default:"text" help:"text for people, json for programs (${default})."`
	LogLevel  string `env:"LIMPET_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error (${default})."`
}

// logger writes to a terminal or where it was redirected to.
func (f logFlags) logger(to *os.File) *slog.Logger {
	level := new(slog.LevelVar)
	level.Set(f.level())
	return f.loggerTo(to, level)
}

func (f logFlags) level() (level slog.Level) {
	_ = level.UnmarshalText([]byte(f.LogLevel)) // the enum has checked it
	return level
}

// loggerTo writes in colour only where that is a terminal. What libraries write
// by package log comes the same way.
func (f logFlags) loggerTo(to io.Writer, level slog.Leveler) *slog.Logger {
	var h slog.Handler = slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level})
	if f.LogFormat == "text" {
		h = tint.NewTextHandler(to, &tint.Options{Level: level, TimeFormat: time.DateTime, NoColor: !isTerminal(to)})
	}
	logger := slog.New(h)
	slog.SetDefault(logger)
	return logger
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
