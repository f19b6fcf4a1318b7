package conf

import (
	"errors"
	"fmt"
	"strings"

	"limpet/resp"
)

// Args is a command line of redis-server, taken apart.
type Args struct {
	File    string // configuration file, "" when none is named
	Stdin   bool   // "-": read more from standard input
	Options string // what follows, as lines of a configuration
}

// ErrSentinel is the answer to --sentinel: that is another program.
var ErrSentinel = errors.New("sentinel mode is not implemented")

// SplitArgs reads what follows the program's name as redis-server 7.0.15 does:
// a file first, if it does not begin with a dash; a single dash first or last;
// and options, each a name behind two dashes and its arguments up to the next.
// Right after a name everything is an argument, even --what --looks like a name,
// except that --save takes another name as "no save points".
func SplitArgs(argv []string) (Args, error) {
	var a Args
	var lines []string
	for _, arg := range argv {
		if arg == "--sentinel" {
			return Args{}, ErrSentinel
		}
	}
	isName := func(i int) bool { return i < len(argv) && strings.HasPrefix(argv[i], "--") }
	i := 0
	if len(argv) > 0 && !strings.HasPrefix(argv[0], "-") {
		a.File, i = argv[0], 1
	}
	complete := true // the option before has an argument
	for ; i < len(argv); i++ {
		arg := argv[i]
		switch {
		case arg == "-" && (i == 0 || i == len(argv)-1):
			a.Stdin = true
		case complete && isName(i):
			name := arg[2:]
			lines = append(lines, name+" ")
			// "--port 7000" in one argument brings its value along.
			words, ok := resp.SplitWords([]byte(arg))
			if complete = !ok || len(words) != 1; complete {
				continue
			}
			if strings.EqualFold(name, "save") && (i+1 == len(argv) || isName(i+1)) {
				lines[len(lines)-1] += `""`
				complete = true
			}
		default:
			if len(lines) == 0 {
				lines = append(lines, "")
			}
			lines[len(lines)-1] += Quote(arg) + " "
			complete = true
		}
	}
	a.Options = strings.Join(lines, "\n")
	return a, nil
}

// Quote writes a word so that a line of a configuration gives it back.
func Quote(word string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(word) {
		switch c := word[i]; {
		case c == '\\' || c == '"':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
