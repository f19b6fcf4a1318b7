package parity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScripts_EveryReplyIsTheRealOnes(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata: %v, %d files", err, len(files))
	}
	p := startPair(t)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { runScript(t, p.again(t), file, "2") })
		t.Run(name+" in RESP3", func(t *testing.T) { runScript(t, p.again(t), file, "3") })
	}
}

// runScript runs a file of requests in a protocol version. Where a script
// chooses its own, HELLO or RESET, it keeps that.
func runScript(t *testing.T, p *pair, file, proto string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p.reset()
	p.both([]byte("HELLO"), []byte(proto))
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		mark, rest := byte(0), line
		if strings.IndexByte("~%tp?!", line[0]) >= 0 && len(line) > 1 && line[1] == ' ' {
			mark, rest = line[0], line[2:]
		}
		real, ours := p.both(words(t, rest)...)
		if err := check(mark, real, ours); err != nil {
			t.Errorf("%s:%d: %s%v", file, i+1, line, err)
		}
	}
}
