package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// RedisVersion is the release whose redis-cli this is.
const RedisVersion = "7.0.15"

// Program is the process that redis-cli runs in.
type Program struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Version  string // of Limpet, for --version
}

// exit ends the program. A run returns it as its error; 0 is success.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// complaint is an error in the words of Redis, for the one who typed.
type complaint string

func (c complaint) Error() string { return string(c) }

func complainf(format string, args ...any) error { return complaint(fmt.Sprintf(format, args...)) }

// Main runs the program: args is the command line without its name, the answer
// the exit code.
func (p Program) Main(args []string) int {
	s := &session{program: p, out: bufio.NewWriter(p.Out)}
	err := s.main(args)
	s.disconnect()
	_ = s.out.Flush()
	code, isExit := err.(exit)
	switch {
	case err == nil:
		return 0
	case isExit:
		return int(code)
	}
	s.warnf("%v\n", err)
	return 1
}

func (s *session) main(args []string) (err error) {
	tty := isTerminal(s.program.Out) || s.program.Getenv("FAKETTY") != ""
	if s.o, err = parseOptions(args, tty); err != nil {
		return err
	}
	if s.o.say != "" {
		s.printf("%s", s.o.say)
		return exit(s.o.sayCode)
	}
	for _, warning := range s.o.warnings {
		s.warnf("%s\n", warning)
	}
	if !s.o.hasAuth {
		s.o.auth = s.program.Getenv("REDISCLI_AUTH")
		s.o.hasAuth = s.o.auth != ""
	}
	if s.o.version {
		s.printf("redis-cli %s (limpet %s)\n", RedisVersion, s.program.Version)
		return nil
	}
	if s.o.askPass {
		if err := s.askPassword(); err != nil {
			return err
		}
	}
	s.wantDB = s.o.db
	if s.o.mode != nil {
		if err := s.connect(loudly); err != nil {
			return exit(1)
		}
		return s.o.mode(s)
	}
	if s.o.eval != "" {
		return s.evalFile()
	}
	if len(s.o.args) == 0 {
		return s.repl()
	}
	return s.oneShot()
}

func (s *session) askPassword() error {
	in, ok := s.program.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return fmt.Errorf("--askpass: standard input is no terminal")
	}
	s.warnf("Please input password: ")
	password, err := term.ReadPassword(int(in.Fd()))
	s.warnf("\n")
	s.o.auth, s.o.hasAuth = string(password), true
	return err
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s *session) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...)
}

// warnf writes to standard error, behind everything that was printed before.
func (s *session) warnf(format string, args ...any) {
	_ = s.out.Flush()
	_, _ = fmt.Fprintf(s.program.Err, format, args...)
}
