package repair_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/aof"
	"limpet/internal/check"
	"limpet/internal/modeltest"
	"limpet/internal/repair"
	"limpet/vfs"
)

// The damage table: what is done to a sound directory, what check says, what
// repair keeps. The mended directory is opened by our store and by a real
// redis-server, and both must find the data of the model.

// row is a line of the table.
type row struct {
	fault string
	spoil func(d *dir)
	says  string // check's codes, by file
	o     repair.Options
	// kept is the number of whole commands, and the data as of that moment.
	kept    int
	data    func(d *dir) model
	refused string // part of why there is no plan
}

// upTo is the data after so many units.
func upTo(first, second int) func(*dir) model {
	return func(d *dir) model { return d.at(first, second) }
}

// count is the number of commands in the first units of both incrs.
func count(first, second int) int {
	d := &dir{first: newHistory("a", 20), second: newHistory("b", 20)}
	n := 0
	for _, u := range append(slices.Clone(d.first.units[:first]), d.second.units[:second]...) {
		n += u.commands()
	}
	return n
}

const all = 21 // units of each history

func damageTable() []row {
	first := func(change func(*dir, []byte) []byte) func(*dir) {
		return func(d *dir) { d.files[firstName] = change(d, bytes.Clone(d.first.log)) }
	}
	second := func(change func(*dir, []byte) []byte) func(*dir) {
		return func(d *dir) { d.files[secondName] = change(d, bytes.Clone(d.second.log)) }
	}
	drop := func(names ...string) func(*dir) {
		return func(d *dir) {
			for _, name := range names {
				d.files[name] = nil
			}
		}
	}
	flip := func(unit int, skip int64) func(*dir, []byte) []byte {
		return func(d *dir, b []byte) []byte {
			b[d.first.start(unit)+skip] ^= 0x40
			return b
		}
	}
	gap, resync := repair.Options{KeepAfterGap: true}, repair.Options{Resync: true}
	// without is the data when some units of the first incr never were.
	without := func(from, to int) func(*dir) model {
		return func(d *dir) model {
			units := append(slices.Clone(d.first.units[:from]), d.first.units[to:]...)
			return baseModel(baseKeys).applyUnits(units).applyUnits(d.second.units)
		}
	}
	const (
		multiUnit  = 5 // a transaction of the first incr
		singleUnit = 4 // an INCR, behind which a transaction comes
		selectUnit = 9 // a SELECT
		setUnit    = 7 // a SET
	)
	return []row{
		{fault: "none", spoil: func(*dir) {}, kept: count(all, all), data: upTo(all, all)},
		{fault: "zeros behind the last", spoil: second(func(d *dir, b []byte) []byte { return append(b, make([]byte, 5000)...) }),
			says: "5.incr zero-tail", kept: count(all, all), data: upTo(all, all)},
		{fault: "zeros instead of the last block", spoil: second(func(d *dir, b []byte) []byte {
			clear(b[d.second.start(15):])
			return b
		}), says: "5.incr zero-tail", kept: count(all, 15), data: upTo(all, 15)},
		{fault: "open MULTI in the last", spoil: second(func(d *dir, b []byte) []byte {
			return append(b, aof.AppendCommand(aof.AppendCommand(nil, "MULTI"), "INCR", "count")...)
		}), says: "5.incr open-multi", kept: count(all, all), data: upTo(all, all)},
		{fault: "open MULTI in one before", spoil: first(func(d *dir, b []byte) []byte {
			return b[:d.first.ends[multiUnit]-int64(len(aof.AppendCommand(nil, "EXEC")))]
		}), says: "4.incr open-multi", kept: count(multiUnit, 0), data: upTo(multiUnit, 0)},
		{fault: "open MULTI in one before, what follows is kept", o: gap, spoil: first(func(d *dir, b []byte) []byte {
			return b[:d.first.ends[multiUnit]-int64(len(aof.AppendCommand(nil, "EXEC")))]
		}), says: "4.incr open-multi", kept: count(multiUnit, all), data: upTo(multiUnit, all)},
		{fault: "MULTI left open by redis-server, which went on (trap D)", spoil: first(func(d *dir, b []byte) []byte { return trapD(d) }),
			says: "4.incr open-multi", kept: count(multiUnit, 0), data: upTo(multiUnit, 0)},
		{fault: "trap D, what was written after is kept", o: resync, spoil: first(func(d *dir, b []byte) []byte { return trapD(d) }),
			says: "4.incr open-multi", kept: count(all, all) - count(multiUnit+1, 0) + count(multiUnit, 0) + 1, data: without(multiUnit, multiUnit+1)},
		{fault: "torn, and another follows (trap A)", spoil: first(func(d *dir, b []byte) []byte { return b[:d.first.ends[11]+7] }),
			says: "4.incr hole", kept: count(12, 0), data: upTo(12, 0)},
		{fault: "trap A, what follows is kept", o: gap, spoil: first(func(d *dir, b []byte) []byte { return b[:d.first.ends[11]+7] }),
			says: "4.incr hole", kept: count(12, all), data: upTo(12, all)},

		{fault: "a flipped bit in a value", spoil: first(func(d *dir, b []byte) []byte {
			i := bytes.Index(b, []byte("vvvvvv"))
			b[i+3] = 'w'
			return b
		}), kept: count(all, all), data: func(d *dir) model {
			m := d.at(all, all)
			m["0:a6"] = "vvvwvv"
			return m
		}},
		{fault: "a flipped bit in a count", spoil: first(flip(singleUnit, 0)), says: "4.incr bad-command", kept: count(singleUnit, 0), data: upTo(singleUnit, 0)},
		{fault: "a flipped bit in a count, resynchronised", o: resync, spoil: first(flip(singleUnit, 0)), says: "4.incr bad-command",
			kept: count(all, all) - 1, data: without(singleUnit, singleUnit+1)},
		{fault: "a flipped bit in a length, resynchronised", o: resync, spoil: first(flip(setUnit, 5)), says: "4.incr bad-command",
			kept: count(all, all) - 1, data: without(setUnit, setUnit+1)},
		{fault: "a flipped bit in a line end, resynchronised", o: resync, spoil: first(flip(setUnit, 6)), says: "4.incr bad-command",
			kept: count(all, all) - 1, data: without(setUnit, setUnit+1)},
		{fault: "a length that is too long, resynchronised", o: resync, spoil: first(func(d *dir, b []byte) []byte {
			at := d.first.start(singleUnit)
			copy(b[at:], strings.Replace(string(b[at:d.first.ends[singleUnit]]), "$6", "$9", 1))
			return b
		}), says: "4.incr bad-command", kept: count(all, all) - 1, data: without(singleUnit, singleUnit+1)},
		{fault: "a flipped bit in a transaction", spoil: first(flip(multiUnit, int64(len(aof.AppendCommand(nil, "MULTI"))))), says: "4.incr bad-command",
			kept: count(multiUnit, 0), data: upTo(multiUnit, 0)},
		{fault: "a flipped bit in a transaction, resynchronised", o: resync, spoil: first(flip(multiUnit, int64(len(aof.AppendCommand(nil, "MULTI"))))), says: "4.incr bad-command",
			kept: count(all, all) - count(multiUnit+1, 0) + count(multiUnit, 0), data: without(multiUnit, multiUnit+1)},
		{fault: "a flipped bit in a SELECT, resynchronised", o: resync, spoil: first(flip(selectUnit, 0)), says: "4.incr bad-command",
			// Which database comes after is not known before the next SELECT.
			kept: count(all, all) - count(15, 0) + count(selectUnit, 0), data: without(selectUnit, 15)},
		{fault: "a block of zeros in the middle, resynchronised", o: resync, spoil: first(func(d *dir, b []byte) []byte {
			clear(b[d.first.start(5)+9 : d.first.start(8)+3])
			return b
		}), says: "4.incr bad-command", kept: count(all, all) - count(9, 0) + count(5, 0), data: without(5, 9)},
		{fault: "a block of zeros before commands of an unknown database, resynchronised", o: resync, spoil: first(func(d *dir, b []byte) []byte {
			clear(b[d.first.start(16)+2 : d.first.start(17)+2])
			return b
		}), says: "4.incr bad-command", kept: count(16, 0), data: upTo(16, 0)},
		{fault: "a FLUSHALL behind the gap, what follows is kept", o: gap, spoil: func(d *dir) {
			d.files[firstName] = d.first.log[:d.first.ends[11]+7]
			d.files[secondName] = append(aof.AppendCommand(nil, "FLUSHALL"), d.second.log...)
		}, says: "4.incr hole", kept: count(12, all) + 1, data: func(d *dir) model { return model{}.applyUnits(d.second.units) }},

		{fault: "no manifest (trap C)", spoil: drop(manifestName), says: "orphans", kept: count(all, all), data: upTo(all, all)},
		{fault: "no manifest, and the last is torn", spoil: func(d *dir) {
			drop(manifestName)(d)
			d.files[secondName] = d.second.log[:d.second.ends[10]+3]
		}, says: "5.incr torn-tail; orphans", kept: count(all, 11), data: upTo(all, 11)},
		{fault: "an empty manifest", spoil: func(d *dir) { d.files[manifestName] = []byte{} }, says: "manifest bad-manifest", kept: count(all, all), data: upTo(all, all)},
		{fault: "junk for a manifest", spoil: func(d *dir) { d.files[manifestName] = []byte("junk\n") }, says: "manifest bad-manifest", kept: count(all, all), data: upTo(all, all)},
		{fault: "half a manifest", spoil: func(d *dir) { d.files[manifestName] = d.files[manifestName][:60] }, says: "manifest bad-manifest", kept: count(all, all), data: upTo(all, all)},
		{fault: "an older manifest", spoil: func(d *dir) {
			d.files[manifestName] = []byte("file " + baseName + " seq 3 type b\nfile " + firstName + " seq 4 type i\n")
		}, says: "manifest orphans", kept: count(all, all), data: upTo(all, all)},
		{fault: "no manifest, and an incr is missing", spoil: func(d *dir) {
			drop(manifestName)(d)
			d.files["appendonly.aof.7.incr.aof"], d.files[secondName] = d.second.log, nil
		}, says: "orphans", refused: "the files between them are missing, or were never there"},
		{fault: "no manifest, and two bases", spoil: func(d *dir) {
			drop(manifestName)(d)
			d.files["appendonly.aof.2.base.rdb"] = d.base
		}, says: "orphans", refused: "there is no manifest to tell whether appendonly.aof.2.base.rdb or appendonly.aof.3.base.rdb is the base"},
		{fault: "no manifest, and no base", spoil: drop(manifestName, baseName), says: "orphans", refused: "no base among the files"},

		{fault: "no base", spoil: drop(baseName), says: "3.base missing", refused: "the base appendonly.aof.3.base.rdb is missing"},
		{fault: "an incr is missing", spoil: drop(firstName), says: "4.incr missing", kept: 0, data: upTo(0, 0)},
		{fault: "an incr is missing, what follows is kept", o: gap, spoil: drop(firstName), says: "4.incr missing", kept: count(0, all), data: upTo(0, all)},
		{fault: "the last incr is missing", spoil: drop(secondName), says: "5.incr missing", kept: count(all, 0), data: upTo(all, 0)},
		{fault: "base and incr exchanged", spoil: func(d *dir) { d.files[baseName], d.files[firstName] = d.first.log, d.base },
			says: "3.base not-an-rdb; 4.incr unexpected-rdb", refused: "no entry of it can be read"},
		{fault: "two dated incrs exchanged", spoil: func(d *dir) {
			d.files[firstName] = append([]byte("#TS:200\r\n"), d.second.log...)
			d.files[secondName] = append([]byte("#TS:100\r\n"), d.first.log...)
		}, says: "5.incr time-goes-back", refused: "files have been exchanged"},
		{fault: "an incr copied over another", spoil: func(d *dir) { d.files[secondName] = d.first.log }, says: "5.incr same-bytes",
			kept: 2 * count(all, 0), data: func(d *dir) model { return d.at(all, 0).applyUnits(d.first.units) }},

		{fault: "an empty base (trap B)", spoil: func(d *dir) { d.files[baseName] = []byte{} }, says: "3.base short-base", refused: "no entry of it can be read"},
		{fault: "a short base", spoil: func(d *dir) { d.files[baseName] = d.base[:len(d.base)-20] }, says: "3.base short-base", refused: "entries before it can be read, which are no state that ever was"},
		{fault: "a short base, salvaged", o: repair.Options{SalvageBase: true}, spoil: func(d *dir) { d.files[baseName] = d.base[:len(d.base)-20] },
			says: "3.base short-base", kept: 0, data: func(*dir) model { return baseModel(baseKeys - 1) }},
		{fault: "a short base, salvaged, and what follows is kept", o: repair.Options{SalvageBase: true, KeepAfterGap: true},
			spoil: func(d *dir) { d.files[baseName] = d.base[:len(d.base)-20] }, says: "3.base short-base", kept: count(all, all),
			data: func(d *dir) model {
				return baseModel(baseKeys - 1).applyUnits(d.first.units).applyUnits(d.second.units)
			}},
		{fault: "a base with a wrong sum, salvaged", o: repair.Options{SalvageBase: true, KeepAfterGap: true}, spoil: func(d *dir) {
			d.files[baseName] = bytes.Clone(d.base)
			d.files[baseName][len(d.base)-1] ^= 1
		}, says: "3.base bad-checksum", kept: count(all, all), data: upTo(all, all)},
		{fault: "a base of a later Redis", spoil: func(d *dir) { d.files[baseName] = append([]byte("REDIS0099"), d.base[9:]...) },
			says: "3.base newer-rdb", refused: "use the tools of the version that wrote it"},
		{fault: "strays and a dump beside", spoil: func(d *dir) {
			d.home["temp-rewriteaof-7.aof"] = []byte("x")
			d.home["dump.rdb"] = baseRDB(quiet{}, 1)
			d.files["appendonly.aof.2.incr.aof"] = []byte("junk")
		}, says: "2.incr stray-file; stray-temp", kept: count(all, all), data: upTo(all, all)},
	}
}

// trapD is what redis-server 7.0 makes of a log that is torn in a transaction:
// it stays open in the file, and the next run's commands follow. Of these, the
// histories' further units are taken, which begin with a SELECT here.
func trapD(d *dir) []byte {
	u := d.first.units[5]
	open := aof.AppendCommand(aof.AppendCommand(nil, "MULTI"), u[0]...)
	b := append(bytes.Clone(d.first.log[:d.first.start(5)]), open...)
	b = aof.AppendCommand(b, "SELECT", "0")
	return append(b, d.first.log[d.first.ends[5]:]...)
}

// told is check's codes by file, without the parts of names that are the same.
func told(r *check.Report) string {
	var lines []string
	for path, p := range r.All {
		name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "appendonly.aof."), ".aof"), ".rdb")
		lines = append(lines, strings.TrimPrefix(name+" "+string(p.Code), ". "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func TestDamage_Table(t *testing.T) {
	for _, row := range damageTable() {
		t.Run(row.fault, func(t *testing.T) {
			t.Parallel()
			d := newDir(t)
			row.spoil(d)
			disk := d.disk(t, vfs.NewMem())
			before := contents(t, disk, from)
			report, err := check.Inspect(context.Background(), disk, from, check.Options{})
			must(t, err)
			if got := told(report); got != row.says {
				t.Errorf("check says %q, want %q", got, row.says)
			}
			p, err := mend(t, disk, row.o)
			if diff := cmp.Diff(before, contents(t, disk, from)); diff != "" {
				t.Errorf("the source has changed:\n%s", diff)
			}
			if row.refused != "" {
				var refused *repair.Refused
				if !errors.As(err, &refused) || !strings.Contains(err.Error(), row.refused) {
					t.Errorf("got %v, want a refusal: %s", err, row.refused)
				}
				return
			}
			must(t, err)
			wantAllBytes(t, disk, p)
			if p.Commands() != row.kept {
				t.Errorf("kept %d commands, want %d\n%v", p.Commands(), row.kept, p.Notes)
			}
			want := row.data(d).String()
			if diff := cmp.Diff(want, openedByRedis(t, disk, to)); diff != "" {
				t.Errorf("redis-server (-want +got):\n%s\n%v", diff, p.Notes)
			}
			if diff := cmp.Diff(want, openedByUs(t, disk, to)); diff != "" {
				t.Errorf("our store (-want +got):\n%s\n%v", diff, p.Notes)
			}
		})
	}
}

// The last commands are cut at every byte: a prefix is kept, whole units only.
func TestDamage_CutAtEveryByte_KeepsTheWholeUnits(t *testing.T) {
	d := newDir(t)
	const units = 5
	for cut := d.second.start(all - units); cut < int64(len(d.second.log)); cut++ {
		d.files[secondName] = d.second.log[:cut]
		disk := d.disk(t, vfs.NewMem())
		p, err := mend(t, disk, repair.Options{})
		must(t, err)
		whole, _ := d.second.whole(cut)
		if want := count(all, whole); p.Commands() != want || p.Nothing() != (d.second.start(whole) == cut) {
			t.Fatalf("cut at %d: kept %d commands, want %d; nothing to mend: %v", cut, p.Commands(), want, p.Nothing())
		}
		wantAllBytes(t, disk, p)
		if got, want := openedByUs(t, disk, to), d.at(all, whole).String(); got != want {
			t.Fatalf("cut at %d: %s", cut, cmp.Diff(want, got))
		}
	}
}

// Bits are flipped at many places. Whatever is said of it, the default keeps a
// state that once was, unless the bit lies in a value or a name, where nobody
// can see it; and all bytes are still there.
func TestDamage_FlippedBits_KeepAPrefix(t *testing.T) {
	rng := modeltest.Rand(t)
	d := newDir(t)
	for range modeltest.Rounds(100) {
		at := rng.IntN(len(d.first.log))
		b := bytes.Clone(d.first.log)
		b[at] ^= 1 << rng.IntN(8)
		d.files[firstName] = b
		disk := d.disk(t, vfs.NewMem())
		p, err := mend(t, disk, repair.Options{})
		must(t, err)
		wantAllBytes(t, disk, p)
		if p.Nothing() {
			continue
		}
		whole, _ := d.first.whole(int64(at))
		kept, _ := d.first.whole(p.Files[1].Cuts[0].From)
		if kept > whole {
			t.Fatalf("byte %d of %q: %d units kept, of which %d are whole", at, b, kept, whole)
		}
		if got, want := openedByUs(t, disk, to), d.at(kept, 0).String(); got != want {
			t.Fatalf("byte %d of %q: %s", at, b, cmp.Diff(want, got))
		}
	}
}
