package cli

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"limpet/resp"
)

// lines is where commands come from.
type lines interface {
	// next gives the next line, or io.EOF. Only a person sees the prompt.
	next(prompt string) (string, error)
}

// slow is how long a command takes before the time is told.
const slow = 500 * time.Millisecond

// repl reads commands and sends them, to the end of the input.
func (s *session) repl() error {
	s.interactive = true
	_ = s.connect(loudly) // or later, with a command
	input := s.lines()
	for {
		_ = s.out.Flush()
		text, err := input.next(s.prompt())
		if err != nil {
			return nil
		}
		if err := s.line(text); err != nil {
			return err
		}
	}
}

func (s *session) lines() lines {
	in, ok := s.program.In.(*os.File)
	if !ok || !isTerminal(in) {
		return &plainLines{in: bufio.NewReader(s.program.In)}
	}
	switch s.program.Getenv("TERM") {
	case "dumb", "cons25", "emacs":
		return &plainLines{in: bufio.NewReader(in), out: s.program.Out}
	}
	return newEditor(s, in)
}

// plainLines are read as they come.
type plainLines struct {
	in  *bufio.Reader
	out io.Writer // for the prompt; nil when nobody would see it
}

func (p *plainLines) next(prompt string) (string, error) {
	if p.out != nil {
		_, _ = io.WriteString(p.out, prompt)
	}
	line, err := p.in.ReadString('\n')
	if err != nil && line == "" {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// splitLine splits a line into words and takes a number before the command off
// it, which says how often to send it.
func splitLine(line string) (args []string, repeat int64, err error) {
	words, ok := resp.SplitWords([]byte(line))
	if !ok {
		return nil, 0, complainf("Invalid argument(s)")
	}
	for _, w := range words {
		args = append(args, string(w))
	}
	if len(args) < 2 {
		return args, 1, nil
	}
	n, numErr := strconv.ParseInt(args[0], 10, 64)
	switch {
	case numErr != nil && !isRange(numErr):
		return args, 1, nil
	case numErr != nil || n <= 0:
		return nil, 0, complainf("Invalid redis-cli repeat command option value.")
	}
	return args[1:], n, nil
}

func isRange(err error) bool {
	numErr, ok := err.(*strconv.NumError)
	return ok && numErr.Err == strconv.ErrRange
}

// line does what a line says. An error ends the program.
func (s *session) line(text string) error {
	args, repeat, err := splitLine(text)
	switch {
	case err != nil:
		s.printf("%v\n", err)
		return nil
	case len(args) == 0:
		return nil
	}
	switch name := strings.ToLower(args[0]); {
	case name == "quit" || name == "exit":
		return exit(0)
	case strings.HasPrefix(name, ":"):
		s.prefer(args)
	case name == "restart":
		s.printf("Use 'restart' only in Lua debugging mode.\n")
	case name == "connect" && len(args) == 3:
		s.o.host, s.o.socket = args[1], ""
		if s.o.port, err = strconv.Atoi(args[2]); err != nil {
			s.printf("Invalid argument(s)\n")
			return nil
		}
		_ = s.connect(loudly)
	case name == "clear" && len(args) == 1:
		s.printf("\x1b[H\x1b[2J")
	case isHelp(args[0]):
		s.help()
	default:
		return s.timed(args, repeat)
	}
	return nil
}

func (s *session) timed(args []string, repeat int64) error {
	start := time.Now()
	err := s.issue(args, repeat)
	if _, ends := err.(exit); ends {
		return err
	}
	if took := time.Since(start); took >= slow && s.o.form == formTerminal {
		s.printf("(%.2fs)\n", took.Seconds())
	}
	return nil
}

// prefer takes redis-cli's own settings, of which there are none here.
func (s *session) prefer(args []string) {
	switch {
	case strings.ToLower(args[0]) != ":set" || len(args) < 2:
		s.printf("unknown redis-cli internal command '%s'\n", args[0])
	case args[1] != "hints" && args[1] != "nohints":
		s.printf("unknown redis-cli preference '%s'\n", args[1])
	}
}

func isHelp(word string) bool { return word == "?" || strings.EqualFold(word, "help") }

func (s *session) help() {
	s.printf("redis-cli %s of limpet\n"+
		"      \"COMMAND DOCS <command>\" asks the server about a command\n"+
		"      \"<n> <command>\" sends a command n times\n"+
		"      \"connect <host> <port>\" goes to another server\n"+
		"      \"clear\" to clear the screen, \"quit\" to exit\n", RedisVersion)
}
