package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxHistory is how many lines are remembered.
const maxHistory = 1000

// history is the lines that were typed, the latest last, and the file that has
// them. It is what a term.Terminal asks for.
type history struct {
	lines []string
	path  string // "" when there is no file
}

// loadHistory reads ~/.rediscli_history, or what REDISCLI_HISTFILE names;
// /dev/null is for none.
func loadHistory(getenv func(string) string) *history {
	h := &history{path: getenv("REDISCLI_HISTFILE")}
	if h.path == "" && getenv("HOME") != "" {
		h.path = filepath.Join(getenv("HOME"), ".rediscli_history")
	}
	if h.path == os.DevNull {
		h.path = ""
	}
	if h.path == "" {
		return h
	}
	text, err := os.ReadFile(h.path)
	if err != nil {
		return h // there is none yet
	}
	h.lines = strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
	if len(h.lines) > 2*maxHistory {
		h.lines = h.lines[len(h.lines)-maxHistory:]
		h.rewrite()
	}
	return h
}

// rewrite shortens the file. Losing it would be no loss to speak of.
func (h *history) rewrite() {
	temp := h.path + ".tmp"
	if os.WriteFile(temp, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600) == nil {
		_ = os.Rename(temp, h.path)
	}
}

// Add remembers a line, but none with a password in it. It appends to the file,
// so that two sessions do not lose each other's lines.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || h.Len() > 0 && h.At(0) == line {
		return
	}
	if args, _, err := splitLine(line); err == nil && isSensitive(args) {
		return
	}
	h.lines = append(h.lines, line)
	if h.path == "" {
		return
	}
	f, err := os.OpenFile(h.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	_, _ = f.WriteString(line + "\n")
	_ = f.Close()
}

// Len is the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At is a line, counted from the latest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

// isSensitive tells whether a command holds what must not lie in a file.
func isSensitive(args []string) bool {
	if len(args) == 0 {
		return false
	}
	has := func(from int, words ...string) bool {
		for _, arg := range args[min(from, len(args)):] {
			if slices.Contains(words, strings.ToLower(arg)) {
				return true
			}
		}
		return false
	}
	switch strings.ToLower(args[0]) {
	case "auth":
		return true
	case "acl":
		return has(1, "setuser", "getuser", "deluser")
	case "config":
		return has(1, "set") && has(2, "requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass")
	case "hello", "migrate":
		return has(1, "auth", "auth2")
	case "sentinel":
		return has(1, "auth-pass", "auth-user", "sentinel-pass", "sentinel-user")
	}
	return false
}
