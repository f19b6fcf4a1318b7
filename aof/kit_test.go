package aof

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"limpet/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// seeded gives a source of chance that a failing run can be repeated with.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("LIMPET_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("LIMPET_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// rounds scales a random test up in the long run.
func rounds(n int) int {
	if os.Getenv("LIMPET_TORTURE") == "1" {
		return 50 * n
	}
	return n
}

// A ledger is the smallest store there is: units in the order they took effect.
// Any loss, hole, repetition or half of a MULTI shows in it.
type ledger []string

func (l *ledger) Begin(PlannedFile) {}

func (l *ledger) Unit(u Unit) error {
	var words []string
	for _, c := range u.Commands {
		words = append(words, string(bytes.Join(c.Args, []byte(" "))))
	}
	if unit := strings.Join(words, "; "); !strings.HasPrefix(unit, "SELECT") {
		*l = append(*l, unit)
	}
	return nil
}

// Preamble loads what [ledger.rdb] wrote: REDIS, a length, the units by lines.
func (l *ledger) Preamble(r io.Reader) (int64, error) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[5:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, err
	}
	*l = nil
	if len(body) > 0 {
		*l = strings.Split(string(body), "\n")
	}
	return int64(len(head) + len(body)), nil
}

func (l ledger) rdb() []byte {
	body := strings.Join(l, "\n")
	return append(binary.BigEndian.AppendUint32([]byte("REDIS"), uint32(len(body))), body...)
}

// commands is a base of commands that gives the ledger back.
func (l ledger) commands() []byte {
	b := AppendCommand(nil, "SELECT", "0")
	for _, unit := range l {
		b = AppendCommand(b, strings.Fields(unit)...)
	}
	return b
}

// unit is the n-th unit and its bytes; every third is a MULTI.
func unit(n int) (name string, bytes []byte) {
	if n%3 == 2 {
		b := AppendCommand(nil, "MULTI")
		b = AppendCommand(b, "RPUSH", "a", strconv.Itoa(n))
		b = AppendCommand(b, "RPUSH", "b", strconv.Itoa(n))
		return fmt.Sprintf("RPUSH a %d; RPUSH b %d", n, n), AppendCommand(b, "EXEC")
	}
	return fmt.Sprintf("RPUSH a %d", n), AppendCommand(nil, "RPUSH", "a", strconv.Itoa(n))
}

// store drives a Dir the way an engine does.
type store struct {
	fs      vfs.FS
	o       Options
	resp    bool // bases are commands
	d       *Dir
	w       *Writer
	units   ledger // in effect
	durable int    // how many of them are promised to survive a power cut
	plan    *Plan
	done    *Replayed
}

const home = "/data"

// open starts on a disk. dump is what a dump.rdb beside an empty log holds.
func (s *store) open(dump ledger) (err error) {
	if s.d, err = OpenDir(s.fs, home, s.o); err != nil {
		return err
	}
	if s.plan, err = s.d.Load(); err != nil {
		return err
	}
	s.units = nil
	if s.done, err = s.plan.Replay(&s.units); err != nil {
		return err
	}
	if s.plan.Empty() {
		s.units = slices.Clone(dump)
		temp, err := s.tempBase()
		if err != nil {
			return err
		}
		if s.w, err = s.d.CreateWithBase(temp); err != nil {
			return err
		}
	} else if s.w, err = s.d.OpenIncr(); err != nil {
		return err
	}
	s.durable = len(s.units)
	if err := s.d.DeleteHistory(); err != nil {
		return err
	}
	return s.w.Append(AppendCommand(nil, "SELECT", "0"))
}

func (s *store) append(n int) error {
	for range n {
		name, b := unit(len(s.units))
		s.units = append(s.units, name)
		if err := s.w.Append(b); err != nil {
			return err
		}
	}
	return nil
}

func (s *store) sync() error {
	if err := s.w.Sync(); err != nil {
		return err
	}
	s.durable = len(s.units)
	return nil
}

func (s *store) tempBase() (string, error) {
	create, bytes := s.d.CreateTempBase, s.units.rdb()
	if s.resp {
		create, bytes = s.d.CreateTempRESPBase, s.units.commands()
	}
	f, err := create()
	if err != nil {
		return "", err
	}
	_, err = f.Write(bytes)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = s.fs.Remove(f.Name())
	}
	return f.Name(), err
}

func (s *store) rotate() error {
	w, err := s.d.Rotate(s.w)
	if err != nil {
		return err
	}
	s.w, s.durable = w, len(s.units)
	return nil
}

// rewrite rotates and commits a base, with late appends while the base is written.
func (s *store) rewrite(late int) error {
	if err := s.rotate(); err != nil {
		return err
	}
	temp, err := s.tempBase()
	if err != nil {
		return err
	}
	if err := s.append(late); err != nil {
		_ = s.fs.Remove(temp)
		return err
	}
	if err := s.d.CommitBase(temp, s.w.Seq()); err != nil {
		return err
	}
	return s.d.DeleteHistory()
}

// heal gives up the writer and publishes everything anew.
func (s *store) heal() error {
	temp, err := s.tempBase()
	if err != nil {
		return err
	}
	w, err := s.d.ReplaceAll(temp)
	if err != nil {
		return err
	}
	_ = s.w.Close()
	s.w, s.durable = w, len(s.units)
	return s.d.DeleteHistory()
}

// verify opens what a crash left of s: the first units of s are in effect, all
// the durable ones among them. Then it writes, is opened again, and finds
// exactly that: a torn end that was cut wrongly shows only then.
func (s *store) verify(disk *vfs.Crash, dump ledger) error {
	again := &store{fs: disk, o: s.o}
	if err := again.open(dump); err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	n := len(again.units)
	if n > len(s.units) || !slices.Equal(again.units, s.units[:n]) {
		return fmt.Errorf("reopened to %q, which never was a state; units were %q", again.units, s.units)
	}
	if n < s.durable {
		return fmt.Errorf("%d units after reopening, %d were durable", n, s.durable)
	}
	if err := errors.Join(again.append(4), again.sync()); err != nil {
		return fmt.Errorf("append after reopening: %w", err)
	}
	third := &store{fs: disk.LoseUnsynced(), o: s.o}
	if err := third.open(dump); err != nil {
		return fmt.Errorf("second reopen: %w", err)
	}
	if !slices.Equal(third.units, again.units) {
		return fmt.Errorf("second reopen gave %q, want %q", third.units, again.units)
	}
	return nil
}

// newDisk has the data directory and nothing in it.
func newDisk(t *testing.T) *vfs.Crash {
	t.Helper()
	disk := vfs.NewCrash()
	must(t, disk.Mkdir(home, 0o755))
	must(t, disk.SyncDir("/"))
	return disk
}

// put writes a file durably; the directory is made where it is missing.
func put(t *testing.T, fsys vfs.FS, path string, content []byte) {
	t.Helper()
	dir := path[:strings.LastIndexByte(path, '/')]
	must(t, fsys.MkdirAll(dir, 0o755))
	f, err := vfs.Create(fsys, path)
	must(t, err)
	_, err = f.Write(content)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	must(t, fsys.SyncDir(dir))
	must(t, fsys.SyncDir(home))
}

func content(t *testing.T, fsys vfs.FS, path string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fsys, path)
	must(t, err)
	return b
}

// snapshot is every file below the data directory with its content.
func snapshot(t *testing.T, fsys vfs.FS, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	entries, err := fsys.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		path := dir + "/" + e.Name()
		if e.IsDir() {
			for name, text := range snapshot(t, fsys, path) {
				files[name] = text
			}
			continue
		}
		files[path] = string(content(t, fsys, path))
	}
	return files
}

const (
	inDir        = home + "/appendonlydir/"
	manifestPath = inDir + "appendonly.aof.manifest"
)
