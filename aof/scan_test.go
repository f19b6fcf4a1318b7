package aof

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// knownHere are the commands of these tests.
func knownHere(name []byte) bool {
	return slices.Contains([]string{"SET", "MULTI", "exec", "EXEC", "PING"}, string(name))
}

// readerScan is what a scan has to find, by a Reader alone.
func readerScan(b []byte) (Scanned, error) {
	j := &joiner{src: bytes.NewReader(b), name: "f", size: int64(len(b)), known: knownHere}
	return j.read()
}

// randomLog has values that look like commands, long values, annotations and
// transactions.
func randomLog(rng *rand.Rand) []byte {
	var log []byte
	value := func() string {
		switch rng.IntN(4) {
		case 0:
			return string(AppendCommand(nil, "SET", "inner", "1")) + "\r\n*1\r\n$4\r\nEXEC\r\n"
		case 1:
			return strings.Repeat("x", rng.IntN(300))
		}
		return strings.Repeat("\r\n*3\r\n$", rng.IntN(3))
	}
	seconds := int64(1_700_000_000)
	for range rng.IntN(30) {
		if rng.IntN(4) == 0 {
			seconds += int64(rng.IntN(3))
			log = AppendTimestamp(log, time.Unix(seconds, 0))
			if rng.IntN(8) == 0 {
				log = AppendTimestamp(log, time.Unix(seconds-1, 0))
			}
		}
		multi := rng.IntN(4) == 0
		if multi {
			log = AppendCommand(log, "MULTI")
		}
		for range 1 + rng.IntN(3) {
			log = AppendCommand(log, "SET", "k", value())
		}
		if multi {
			log = AppendCommand(log, "exec")
		}
	}
	return log
}

// damage changes a log in one place, or not at all.
func damage(rng *rand.Rand, log []byte) []byte {
	log = bytes.Clone(log)
	if len(log) == 0 {
		return log
	}
	at := rng.IntN(len(log))
	switch rng.IntN(6) {
	case 0:
		return log[:at]
	case 1:
		log[at] ^= 1 << rng.IntN(8)
	case 2:
		return append(log, make([]byte, 1+rng.IntN(100))...)
	case 3:
		return append(log[:at:at], log[at+rng.IntN(len(log)-at):]...)
	case 4:
		return append(log[:at:at], append(AppendCommand(nil, "MULTI"), log[at:]...)...)
	}
	return log
}

func TestScan_AnyBlocks_FindsWhatAReaderFinds(t *testing.T) {
	rng := seeded(t)
	for range rounds(3000) {
		log := damage(rng, randomLog(rng))
		want, wantErr := readerScan(log)
		o := ScanOptions{block: 1 + int64(rng.IntN(200)), workers: 1 + rng.IntN(3), Known: knownHere}
		got, err := Scan(bytes.NewReader(log), "f", 0, int64(len(log)), o)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("blocks of %d in %q: (-reader +scan)\n%s", o.block, log, diff)
		}
		if diff := cmp.Diff(wantErr, err); diff != "" {
			t.Fatalf("blocks of %d in %q: (-reader +scan)\n%s", o.block, log, diff)
		}
	}
}

func TestScan_TimeThatGoesBack_IsFound(t *testing.T) {
	var log []byte
	for _, seconds := range []int64{100, 200, 200, 150, 300} {
		log = AppendCommand(AppendTimestamp(log, time.Unix(seconds, 0)), "PING")
	}
	at := int64(bytes.Index(log, []byte("#TS:150")))
	for block := int64(1); block < int64(len(log)); block++ {
		got, err := Scan(bytes.NewReader(log), "f", 0, int64(len(log)), ScanOptions{block: block})
		must(t, err)
		if got.TimeGoesBack != at || got.First.Unix() != 100 || got.Last.Unix() != 300 {
			t.Fatalf("blocks of %d: %+v, want %d", block, got, at)
		}
	}
}

func TestScan_UnreadableFile_IsNoDamage(t *testing.T) {
	eio := errors.New("input/output error")
	log := bytes.Repeat(AppendCommand(nil, "SET", "k", "v"), 100)
	src := io.NewSectionReader(failingReader{bytes.NewReader(log), 2000, eio}, 0, int64(len(log)))
	_, err := Scan(src, "f", 0, int64(len(log)), ScanOptions{block: 500})
	if !errors.Is(err, eio) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrTruncated) {
		t.Errorf("got %v", err)
	}
}

// failingReader cannot be read from an offset on.
type failingReader struct {
	io.ReaderAt
	from int64
	err  error
}

func (r failingReader) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= r.from {
		return r.ReaderAt.ReadAt(p, off)
	}
	n, _ := r.ReaderAt.ReadAt(p[:max(0, r.from-off)], off)
	return n, r.err
}

func FuzzScan_AnyBytes_FindsWhatAReaderFinds(f *testing.F) {
	f.Add([]byte("*1\r\n$5\r\nMULTI\r\n#TS:1\r\n*1\r\n$4\r\nEXEC\r\n"), 7)
	f.Add([]byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\n\r\n*1\r\n$1\r\n\r\n\x00\x00"), 3)
	f.Fuzz(func(t *testing.T, log []byte, block int) {
		if block < 1 {
			return
		}
		want, wantErr := readerScan(log)
		got, err := Scan(bytes.NewReader(log), "f", 0, int64(len(log)), ScanOptions{block: int64(block), Known: knownHere})
		if diff := cmp.Diff(want, got) + cmp.Diff(wantErr, err); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log")
	log := bytes.Repeat(AppendCommand(nil, "SET", "key:000000012345", "xxx"), 4<<20)
	if err := os.WriteFile(path, log, 0o644); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	b.SetBytes(int64(len(log)))
	for b.Loop() {
		if _, err := Scan(f, "f", 0, int64(len(log)), ScanOptions{Known: knownHere}); err != nil {
			b.Fatal(err)
		}
	}
}
