package repair_test

import (
	"bytes"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/aof"
	"limpet/internal/modeltest"
	"limpet/internal/repair"
	"limpet/vfs"
)

// tricky is a history whose values look like commands, which changes databases
// in and out of transactions.
func tricky() *history {
	h := &history{}
	db := 0
	inner := string(aof.AppendCommand(aof.AppendCommand(nil, "MULTI"), "SET", "inner", "1"))
	for i := range 40 {
		if i%7 == 0 {
			db = (db + 1) % 3
			h.add(unit{{"SELECT", strconv.Itoa(db)}})
		}
		switch i % 5 {
		case 0:
			h.add(unit{{"SET", "k" + strconv.Itoa(i), inner}})
		case 2:
			h.add(unit{{"INCR", "n"}, {"RPUSH", "l", strconv.Itoa(i)}, {"INCR", "n"}})
		default:
			h.add(unit{{"INCR", "m"}})
		}
	}
	return h
}

// Wherever one to three bytes are damaged, not two of them in the same place:
// what is kept are whole units of the history, each in its own database.
func TestResync_AnyDamage_KeepsWholeUnitsInTheirDatabase(t *testing.T) {
	rng := modeltest.Rand(t)
	h := tricky()
	dbs, db := make([]int, len(h.units)), 0
	for i, u := range h.units {
		if u[0][0] == "SELECT" {
			db, _ = strconv.Atoi(u[0][1])
		}
		dbs[i] = db
	}
	wentOn := 0
	for range modeltest.Rounds(50) {
		d := newDir(t)
		d.first = h
		b := bytes.Clone(h.log)
		hit := map[int]bool{} // units
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(b))
			i := slices.IndexFunc(h.ends, func(end int64) bool { return end > int64(at) })
			if hit[i-1] || hit[i] || hit[i+1] {
				continue
			}
			b[at] ^= 1 << rng.IntN(8)
			hit[i] = true
		}
		d.files[firstName] = b
		disk := d.disk(t, vfs.NewMem())
		p, err := mend(t, disk, repair.Options{Resync: true})
		must(t, err)
		wantAllBytes(t, disk, p)
		if p.Nothing() {
			continue // in a value
		}
		// What is kept of the units that were not hit must be the model's; those
		// that were hit and are kept have damage in a value, and cannot be compared.
		want, comparable := baseModel(baseKeys), true
		for _, piece := range p.Files[1].Keep {
			if piece.Literal != "" {
				continue
			}
			for i := range h.units {
				start, end := h.start(i), h.ends[i]
				switch {
				case start >= piece.From && end <= piece.To:
					comparable = comparable && !hit[i]
					db := dbs[i]
					for _, words := range h.units[i] {
						want.apply(&db, words)
					}
				case start < piece.To && end > piece.From:
					t.Fatalf("%q: piece %+v cuts unit %d (%d to %d)\n%v", b, piece, i, start, end, p.Notes)
				}
			}
		}
		if len(p.Files[1].Keep) > 1 {
			wentOn++
		}
		if !comparable {
			continue
		}
		if len(p.Files[2].Keep) > 0 {
			want.applyUnits(d.second.units)
		}
		if got := openedByUs(t, disk, to); got != want.String() {
			t.Fatalf("%q:\n%s\n%v", b, cmp.Diff(want.String(), got), p.Notes)
		}
	}
	if wentOn == 0 {
		t.Error("it never went on behind any damage")
	}
}
