package check

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"limpet/vfs"
)

// Tool is a checker's surroundings.
type Tool struct {
	FS      vfs.FS
	In      io.Reader // answers to the question of --fix
	Out     io.Writer
	Err     io.Writer
	Version string // of Limpet, for --version
}

// RedisVersion is the release whose tools these are.
const RedisVersion = "7.0.15"

// verdict ends a check early: the text is the last thing said, and the exit code
// is 1.
type verdict string

func (v verdict) Error() string { return string(v) }

func verdictf(format string, args ...any) error { return verdict(fmt.Sprintf(format, args...)) }

// report collects what is said. Errors of the output itself are found by no one
// who could do anything about them.
type report struct{ *bufio.Writer }

func newReport(w io.Writer) report { return report{bufio.NewWriter(w)} }

func (r report) sayf(format string, args ...any) { _, _ = fmt.Fprintf(r, format, args...) }

// close says the verdict, if there is one, and answers the exit code.
func (r report) close(err error) (code int) {
	if err != nil {
		code = 1
		if err.Error() != "" {
			r.sayf("%s\n", err)
		}
	}
	_ = r.Flush()
	return code
}

// reason is an error of the system as C words it.
func reason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// shown is text from a file, up to the byte where C ends it, with nothing in it
// that a terminal would obey.
func shown(b []byte) string {
	text, _, _ := strings.Cut(string(b), "\x00")
	var s strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c == 0x7f {
			_, _ = fmt.Fprintf(&s, `\x%02x`, c)
		} else {
			s.WriteByte(c)
		}
	}
	return s.String()
}
