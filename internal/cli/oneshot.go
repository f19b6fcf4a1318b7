package cli

import (
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
)

// oneShot sends the command of the command line.
func (s *session) oneShot() error {
	args := slices.Clone(s.o.args)
	if s.o.quotedInput {
		for i, arg := range args {
			text, ok := unquote(arg)
			if !ok {
				s.printf("Invalid quoted string\n")
				return exit(1)
			}
			args[i] = text
		}
	}
	if s.o.stdinLast || s.o.hasStdinTag {
		at := len(args)
		if s.o.hasStdinTag {
			if at = slices.Index(args, s.o.stdinTag); at < 0 {
				return complaint("Using -X option but stdin tag not match.")
			}
			args = slices.Delete(args, at, at+1)
		}
		text, err := io.ReadAll(s.program.In)
		if err != nil {
			return complainf("Error reading from stdin: %s", reason(err))
		}
		args = slices.Insert(args, at, string(text))
	}
	if isHelp(args[0]) {
		s.help()
		return nil
	}
	if err := s.issue(args, s.o.repeat); errors.Is(err, errNotSent) {
		return exit(1)
	} else if err != nil {
		return err
	}
	return nil
}

// evalFile sends the script of --eval; a comma parts its keys from its
// arguments.
func (s *session) evalFile() error {
	if _ = s.connect(loudly); s.c == nil {
		return exit(1)
	}
	script, err := os.ReadFile(s.o.eval)
	if err != nil {
		return complainf("Can't open file '%s': %s", s.o.eval, reason(err))
	}
	args := s.o.args
	keys := len(args)
	if comma := slices.Index(args, ","); comma >= 0 {
		keys = comma
		args = slices.Delete(slices.Clone(args), comma, comma+1)
	}
	command := append([]string{"EVAL", string(script), strconv.Itoa(keys)}, args...)
	if err := s.issue(command, s.o.repeat); errors.Is(err, errNotSent) {
		return exit(1)
	} else if err != nil {
		return err
	}
	return nil
}
