package repair_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"limpet"
	"limpet/aof"
	"limpet/internal/repair"
	"limpet/internal/testredis"
	"limpet/rdb"
	"limpet/vfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// model is the data: "database:key" and value, the elements of a list in brackets.
type model map[string]string

// apply does what a command of the histories does.
func (m model) apply(db *int, words []string) {
	key := fmt.Sprintf("%d:%s", *db, words[min(1, len(words)-1)])
	switch words[0] {
	case "SELECT":
		*db, _ = strconv.Atoi(words[1])
	case "SET":
		m[key] = words[2]
	case "INCR":
		n, _ := strconv.Atoi(m[key])
		m[key] = strconv.Itoa(n + 1)
	case "RPUSH":
		m[key] = strings.TrimPrefix(strings.TrimSuffix(m[key], "]")+" "+words[2]+"]", " ")
		if !strings.HasPrefix(m[key], "[") {
			m[key] = "[" + m[key]
		}
	case "FLUSHALL":
		clear(m)
	}
}

func (m model) String() string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, key+"="+m[key])
	}
	return strings.Join(lines, "\n")
}

// unit is commands that take effect together; more than one are a MULTI.
type unit [][]string

func (u unit) bytes() (b []byte) {
	if len(u) > 1 {
		b = aof.AppendCommand(b, "MULTI")
	}
	for _, words := range u {
		b = aof.AppendCommand(b, words...)
	}
	if len(u) > 1 {
		b = aof.AppendCommand(b, "EXEC")
	}
	return b
}

// commands counts as the reader does.
func (u unit) commands() int {
	if len(u) > 1 {
		return len(u) + 2
	}
	return 1
}

// history is a log: units and where each ends.
type history struct {
	units []unit
	ends  []int64
	log   []byte
}

// newHistory has n units over two databases, a third of them transactions. The
// tag makes histories differ.
func newHistory(tag string, n int) *history {
	h := &history{}
	h.add(unit{{"SELECT", "0"}})
	for i := range n {
		switch i % 6 {
		case 0:
			h.add(unit{{"SET", tag + strconv.Itoa(i), strings.Repeat("v", i%40)}})
		case 1, 4:
			h.add(unit{{"INCR", "count"}, {"RPUSH", "pages", tag + strconv.Itoa(i)}})
		case 2:
			h.add(unit{{"SELECT", strconv.Itoa(i / 6 % 2)}})
		default:
			h.add(unit{{"INCR", "single"}})
		}
	}
	return h
}

func (h *history) add(u unit) {
	h.units, h.log = append(h.units, u), append(h.log, u.bytes()...)
	h.ends = append(h.ends, int64(len(h.log)))
}

// whole is the number of units, and of commands, that end at or before an offset.
func (h *history) whole(size int64) (units, commands int) {
	for units < len(h.ends) && h.ends[units] <= size {
		commands += h.units[units].commands()
		units++
	}
	return units, commands
}

// start is where a unit begins.
func (h *history) start(i int) int64 {
	if i == 0 {
		return 0
	}
	return h.ends[i-1]
}

// apply runs units on the data; a file begins in database 0.
func (m model) applyUnits(units []unit) model {
	db := 0
	for _, u := range units {
		for _, words := range u {
			m.apply(&db, words)
		}
	}
	return m
}

// dir is a data directory in memory: a base and two incrs.
type dir struct {
	base          []byte
	first, second *history
	files         map[string][]byte // by name within appendonlydir
	home          map[string][]byte // outside
}

const (
	baseName     = "appendonly.aof.3.base.rdb"
	firstName    = "appendonly.aof.4.incr.aof"
	secondName   = "appendonly.aof.5.incr.aof"
	manifestName = "appendonly.aof.manifest"
)

func baseRDB(t testing.TB, keys int) []byte {
	t.Helper()
	var b strings.Builder
	e := rdb.NewEncoder(&b, rdb.EncoderOptions{})
	must(t, e.Aux("redis-ver", "7.0.15"))
	must(t, e.Aux("aof-base", "1"))
	for i := range keys {
		must(t, e.Entry(rdb.Entry{Key: fmt.Appendf(nil, "base%d", i), Value: rdb.String(fmt.Sprintf("value %d", i))}))
	}
	must(t, e.Close())
	return []byte(b.String())
}

func baseModel(keys int) model {
	m := model{}
	for i := range keys {
		m[fmt.Sprintf("0:base%d", i)] = fmt.Sprintf("value %d", i)
	}
	return m
}

const baseKeys = 5

func newDir(t testing.TB) *dir {
	d := &dir{base: baseRDB(t, baseKeys), first: newHistory("a", 20), second: newHistory("b", 20), home: map[string][]byte{}}
	d.files = map[string][]byte{
		baseName: d.base, firstName: d.first.log, secondName: d.second.log,
		manifestName: []byte("file " + baseName + " seq 3 type b\nfile " + firstName + " seq 4 type i\nfile " + secondName + " seq 5 type i\n"),
	}
	return d
}

// at is the data after so many units of the two incrs.
func (d *dir) at(first, second int) model {
	return baseModel(baseKeys).applyUnits(d.first.units[:first]).applyUnits(d.second.units[:second])
}

const (
	from = "/store"
	to   = "/mended"
)

// disk puts the directory on a disk.
func (d *dir) disk(t testing.TB, fsys vfs.FS) vfs.FS {
	t.Helper()
	must(t, fsys.MkdirAll(from+"/appendonlydir", 0o755))
	put := func(path string, b []byte) {
		f, err := vfs.Create(fsys, path)
		must(t, err)
		_, err = f.Write(b)
		must(t, err)
		must(t, f.Sync())
		must(t, f.Close())
	}
	for name, b := range d.files {
		if b != nil {
			put(filepath.Join(from, "appendonlydir", name), b)
		}
	}
	for name, b := range d.home {
		put(filepath.Join(from, name), b)
	}
	for _, path := range []string{from + "/appendonlydir", from, "/"} {
		must(t, fsys.SyncDir(path))
	}
	return fsys
}

// contents is every file below a directory.
func contents(t testing.TB, fsys vfs.FS, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := fsys.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			maps.Copy(all, contents(t, fsys, path))
			continue
		}
		b, err := vfs.ReadFile(fsys, path)
		must(t, err)
		all[path] = string(b)
	}
	return all
}

// later is a clock that is never the same twice.
func later() func() time.Time {
	return func() time.Time { ticks.Add(1); return now().Add(time.Duration(ticks.Load()) * time.Second) }
}

var ticks atomic.Int64

func now() time.Time { return time.UnixMilli(1_800_000_000_000) }

// everything is a script that tells all data, as a model prints it.
const everything = `
local lines = {}
for db = 0, 3 do
	redis.call('SELECT', db)
	for _, key in ipairs(redis.call('KEYS', '*')) do
		local value
		if redis.call('TYPE', key).ok == 'list' then
			value = '[' .. table.concat(redis.call('LRANGE', key, 0, -1), ' ') .. ']'
		else
			value = redis.call('GET', key)
		end
		lines[#lines + 1] = db .. ':' .. key .. '=' .. value
	end
end
table.sort(lines)
return table.concat(lines, '\n')`

// openedByUs is the data that our store finds.
func openedByUs(t testing.TB, fsys vfs.FS, dir string) string {
	t.Helper()
	db, err := limpet.Open(dir, &limpet.Options{FS: fsys, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatalf("our store: %v", err)
	}
	defer func() { must(t, db.Close()) }()
	v, err := db.Do(context.Background(), "EVAL", everything, 0)
	must(t, err)
	return v.Text()
}

// openedByRedis is the data that a real redis-server finds in a copy of the
// directory.
func openedByRedis(t *testing.T, fsys vfs.FS, dir string) string {
	t.Helper()
	real := t.TempDir()
	for path, text := range contents(t, fsys, dir) {
		rel, err := filepath.Rel(dir, path)
		must(t, err)
		must(t, os.MkdirAll(filepath.Join(real, filepath.Dir(rel)), 0o755))
		must(t, os.WriteFile(filepath.Join(real, rel), []byte(text), 0o644))
	}
	s := testredis.Start(t, testredis.Options{Dir: real, Args: []string{"--appendonly", "yes", "--aof-load-truncated", "no"}})
	defer s.Stop()
	return s.Do("EVAL", everything, "0").(string)
}

// mend plans and carries out, into a new directory.
func mend(t testing.TB, fsys vfs.FS, o repair.Options) (*repair.Plan, error) {
	t.Helper()
	p, err := repair.MakePlan(context.Background(), fsys, from, o)
	if err != nil {
		return nil, err
	}
	must(t, p.WriteTo(context.Background(), fsys, to, now))
	return p, nil
}

// wantAllBytes checks that what is kept and what is cut together are the source.
func wantAllBytes(t testing.TB, fsys vfs.FS, p *repair.Plan) {
	t.Helper()
	for _, f := range append(slices.Clone(p.Files), p.Dumps...) {
		source := make([]bool, f.Source.Size)
		mark := func(from, to int64) {
			for i := from; i < to; i++ {
				if source[i] {
					t.Fatalf("%s: byte %d is kept twice", f.Name, i)
				}
				source[i] = true
			}
		}
		for _, k := range f.Keep {
			mark(k.From, k.To)
		}
		for _, c := range f.Cuts {
			mark(c.From, c.To)
			b, err := vfs.ReadFile(fsys, c.SavedAs)
			must(t, err)
			whole, err := vfs.ReadFile(fsys, f.Source.Path)
			must(t, err)
			if string(b) != string(whole[c.From:c.To]) {
				t.Fatalf("%s holds other bytes than were cut", c.SavedAs)
			}
		}
		if i := slices.Index(source, false); i >= 0 {
			t.Fatalf("%s: byte %d is neither kept nor cut", f.Name, i)
		}
	}
}

// quiet stands for a test where nothing can fail.
type quiet struct{ testing.TB }

func (quiet) Helper() {}
