package limpet_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// trimmed is Go source with no indentation, so that lines compare wherever they
// stand.
func trimmed(source string) string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// Every snippet of the manual is a piece of an example that is compiled and whose
// output is checked.
func TestManual_OfTheLibrary_QuotesTheExamples(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	examples := trimmed(read("example_test.go")) + trimmed(read("server/example_test.go"))
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read("docs/library.md"), -1)
	if len(snippets) < 10 {
		t.Errorf("only %d snippets", len(snippets))
	}
	for _, s := range snippets {
		if !strings.Contains(examples, trimmed(s[1])) {
			t.Errorf("docs/library.md: no example has these lines:\n%s", s[1])
		}
	}
}
