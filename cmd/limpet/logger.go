package main

import (
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

// logger writes to a file, in colour only where that is a terminal. What
// libraries write by package log comes the same way.
func (f logFlags) logger(to *os.File) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // the enum has checked it
	var h slog.Handler = slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level})
	if f.LogFormat == "text" {
		h = tint.NewTextHandler(to, &tint.Options{Level: level, TimeFormat: time.DateTime, NoColor: !term.IsTerminal(int(to.Fd()))})
	}
	logger := slog.New(h)
	slog.SetDefault(logger)
	return logger
}
