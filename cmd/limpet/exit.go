package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Exit codes. docs/cli.md explains them; scripts rely on them.
const (
	exitNo          = 1   // the answer is no: an audit with differences, a cancelled crawl
	exitUsage       = 2   // the command line is wrong
	exitUnreachable = 3   // nobody answers, or someone else does
	exitRefused     = 4   // the service refuses this: bad input, token, impossible step
	exitNotFound    = 5   // no such seed
	exitLater       = 6   // the service cannot do it now
	exitLocal       = 7   // something on this machine: a file, a port, a directory
	exitMild        = 10  // check: only the end of a log is torn; doctor: warnings
	exitSevere      = 11  // check: damaged; doctor: something critical
	exitInterrupted = 130 // by a signal
)

// failure is an error for people at a terminal: what happened, what is safe and
// what to type next.
type failure struct {
	code int
	text string   // one line
	more []string // lines that follow, indented
}

func (f *failure) Error() string { return f.text }

func failf(code int, format string, args ...any) *failure {
	return &failure{code: code, text: fmt.Sprintf(format, args...)}
}

// with adds a line.
func (f *failure) with(format string, args ...any) *failure {
	f.more = append(f.more, fmt.Sprintf(format, args...))
	return f
}

// misuse explains a command line that could not be understood.
func misuse(err error) error {
	// That a flag can be left out is nothing to choose from.
	f := failf(exitUsage, "%s", strings.Replace(err.Error(), `one of "",`, "one of ", 1))
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if command := parse.Context.Selected(); command != nil {
			return f.with("help:   limpet %s --help", command.Name)
		}
	}
	return f.with("help:   limpet --help")
}

// report tells an error and answers the exit code. A nil error is success.
func (t terminal) report(err error, asJSON bool) int {
	if err == nil {
		return 0
	}
	f := failf(exitLocal, "%s", err)
	errors.As(err, &f)
	switch {
	case f.text == "": // the result has said it all
	case asJSON:
		_ = json.NewEncoder(t.err).Encode(struct {
			Success bool   `json:"success"`
			Error   string `json:"error"`
			Hint    string `json:"hint,omitempty"`
		}{false, f.text, strings.Join(f.more, "\n")})
	default:
		_, _ = fmt.Fprintf(t.err, "limpet: %s\n", printable(f.text))
		for _, line := range f.more {
			_, _ = fmt.Fprintf(t.err, "  %s\n", printable(line))
		}
	}
	return f.code
}

// printable takes control characters out of what came from elsewhere, such as
// an error that a crawled site has worded: a terminal would obey them.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, s)
}
