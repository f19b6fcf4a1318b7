package cli

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// editor reads lines from a terminal. The terminal is raw only while a line is
// being edited, so that ^C under a command is a signal as ever.
type editor struct {
	s        *session
	in       *os.File
	terminal *term.Terminal
	names    []string // of the server's commands, once Tab has asked for them
}

func newEditor(s *session, in *os.File) *editor {
	e := &editor{s: s, in: in}
	e.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, s.program.Out}, "")
	e.terminal.History = loadHistory(s.program.Getenv)
	e.terminal.AutoCompleteCallback = e.complete
	return e
}

func (e *editor) next(prompt string) (string, error) {
	fd := int(e.in.Fd())
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = e.terminal.SetSize(width, height)
	}
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(fd, before) }()
	e.terminal.SetPrompt(prompt)
	return e.terminal.ReadLine() // ^C and ^D are io.EOF
}

// complete completes the name of a command at a Tab, as far as it is certain.
func (e *editor) complete(line string, pos int, key rune) (newLine string, newPos int, ok bool) {
	if key != '\t' || pos != len(line) || line == "" || strings.ContainsRune(line, ' ') {
		return "", 0, false
	}
	common := ""
	for _, name := range e.commandNames() {
		if len(name) < len(line) || !strings.EqualFold(name[:len(line)], line) {
			continue
		}
		if common == "" {
			common = name
		}
		common = common[:commonPrefix(common, name)]
	}
	if common == "" {
		return "", 0, false
	}
	return common, len(common), true
}

// commandNames asks the server, but not in the middle of a transaction, of which
// the question would become a part.
func (e *editor) commandNames() []string {
	if e.names != nil || e.s.c == nil || e.s.inMulti {
		return e.names
	}
	v, err := e.s.c.do("COMMAND", "LIST")
	if err != nil {
		e.s.disconnect()
		return nil
	}
	for _, name := range v.Elems {
		if text := strings.ToUpper(string(name.Str)); !strings.Contains(text, "|") {
			e.names = append(e.names, text)
		}
	}
	return e.names
}

func commonPrefix(a, b string) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
