package vfs

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// ErrPowerCut is what every operation on a [Crash] gives once the power is off.
var ErrPowerCut = errors.New("power cut")

// Crash is a file system in memory that knows what a power cut may leave of it.
//
// A test drives a scenario over it with the power cut before the first, second,
// third … change, and reopens what is left:
//
//	for n := 0; ; n++ {
//		disk := vfs.NewCrash()
//		disk.StopBefore(n)
//		scenario(disk) // fails somewhere with ErrPowerCut
//		reopen(disk.CrashImage(rng))
//		if !disk.PowerIsOff() {
//			break // n was larger than the scenario
//		}
//	}
type Crash struct {
	FS
	mem *Mem

	mu      sync.Mutex // guards the two below
	changes int
	stop    int // changes allowed, -1 for no end
}

// NewCrash returns an empty file system with the power on.
func NewCrash() *Crash {
	m := NewMem()
	m.journal = new(journal)
	m.root.durable.entries = make(map[string]*node)
	return newCrash(m)
}

func newCrash(m *Mem) *Crash {
	c := &Crash{mem: m, stop: -1}
	c.FS = hooked{m, c.count}
	return c
}

func (c *Crash) count(op Op) Fault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stop >= 0 && c.changes >= c.stop {
		// Reading what is there goes on until a change meets the cut; from then
		// on nothing works.
		if op.Changes() || c.changes > c.stop {
			c.changes = c.stop + 1
			return Fault{Err: ErrPowerCut}
		}
		return Fault{}
	}
	if op.Changes() {
		c.changes++
	}
	return Fault{}
}

// StopBefore lets n more changes happen (see [Op.Changes]) and then cuts the
// power: the change after them and every operation behind it fail with
// [ErrPowerCut]. A negative n leaves the power on.
func (c *Crash) StopBefore(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes, c.stop = 0, max(n, -1)
}

// PowerIsOff reports whether a change has met the cut.
func (c *Crash) PowerIsOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stop >= 0 && c.changes > c.stop
}

// CrashImage is one of the disks that a power cut at this moment may leave,
// chosen by rng. Everything on it is durable, nothing is locked, the power is
// on. c itself does not change.
//
// Of a file, any number of the unsynced writes are there, in their order, the
// last of them perhaps in part; behind them the size may already have grown
// over zeros that were never filled. Of the names, either a first part of the
// unsynced changes happened (a journaling file system) or any selection in
// which no change overtakes an earlier one to the same name.
func (c *Crash) CrashImage(rng *rand.Rand) *Crash {
	return c.image(
		func(p []change) []change {
			if rng.IntN(2) == 0 {
				return p[:rng.IntN(len(p)+1)]
			}
			return withEarlier(p, func(change) bool { return rng.IntN(2) == 0 })
		},
		func(n *node) []byte { return n.durable.survive(rng) },
	)
}

// LoseUnsynced is the disk of a power cut that spares nothing which was not synced.
func (c *Crash) LoseUnsynced() *Crash {
	return c.image(
		func([]change) []change { return nil },
		func(n *node) []byte { return slices.Clone(n.durable.data) },
	)
}

// KeepAll is the disk when only the process died: all that was written is there.
func (c *Crash) KeepAll() *Crash {
	return c.image(
		func(p []change) []change { return p },
		func(n *node) []byte { return slices.Clone(n.data) },
	)
}

func (c *Crash) image(names func([]change) []change, bytes func(*node) []byte) *Crash {
	c.mem.mu.Lock()
	defer c.mem.mu.Unlock()
	happened := names(slices.Clone(c.mem.journal.pending))

	entries := make(map[*node]map[string]*node) // of each directory, after the crash
	entriesOf := func(dir *node) map[string]*node {
		if entries[dir] == nil {
			entries[dir] = make(map[string]*node)
			maps.Copy(entries[dir], dir.durable.entries)
		}
		return entries[dir]
	}
	for _, ch := range happened {
		for _, e := range ch {
			e.applyTo(entriesOf(e.dir))
		}
	}
	copies := make(map[*node]*node) // two names of one file stay two names of one file
	var copyOf func(*node) *node
	copyOf = func(n *node) *node {
		if copies[n] != nil {
			return copies[n]
		}
		cp := &node{inode: n.inode, mode: n.mode, mtime: n.mtime}
		copies[n] = cp
		if !n.isDir() {
			cp.data = bytes(n)
			cp.durable.data = slices.Clone(cp.data)
			return cp
		}
		cp.entries = make(map[string]*node)
		for _, name := range slices.Sorted(maps.Keys(entriesOf(n))) { // sorted: rng decides alone
			cp.entries[name] = copyOf(entries[n][name])
		}
		cp.durable.entries = maps.Clone(cp.entries)
		return cp
	}
	return newCrash(&Mem{root: copyOf(c.mem.root), locks: make(map[string]bool), journal: new(journal)})
}

// durable is what is certain to be on the disk, and what is on its way.
type durable struct {
	data    []byte
	pending []write          // since the last sync, oldest first
	entries map[string]*node // directories only; their pending changes are in the journal
}

func (d *durable) sync() {
	for _, w := range d.pending {
		d.data = w.applyTo(d.data)
	}
	d.pending = nil
}

// survive picks what a crash leaves of a file.
func (d *durable) survive(rng *rand.Rand) []byte {
	data := slices.Clone(d.data)
	kept := rng.IntN(len(d.pending) + 1)
	for _, w := range d.pending[:kept] {
		data = w.applyTo(data)
	}
	if kept == len(d.pending) {
		return data
	}
	if w := d.pending[kept]; !w.cut && rng.IntN(2) == 0 {
		w.data = w.data[:rng.IntN(len(w.data)+1)]
		data = w.applyTo(data)
	}
	whole := slices.Clone(data)
	for _, w := range d.pending[kept:] {
		whole = w.applyTo(whole)
	}
	if unfilled := len(whole) - len(data); unfilled > 0 && rng.IntN(3) == 0 {
		data = append(data, make([]byte, 1+rng.IntN(unfilled))...)
	}
	return data
}

// edit is a name in a directory set to a node, or removed when to is nil.
type edit struct {
	dir  *node
	name string
	to   *node
}

func (e edit) applyTo(entries map[string]*node) {
	if e.to == nil {
		delete(entries, e.name)
		return
	}
	entries[e.name] = e.to
}

// change is one operation on names: all of its edits happen, or none.
type change []edit

// journal holds the changes of names that no SyncDir has covered, oldest first.
type journal struct {
	pending []change
}

func (j *journal) syncDir(dir *node) {
	touches := func(ch change) bool {
		return slices.ContainsFunc(ch, func(e edit) bool { return e.dir == dir })
	}
	synced := withEarlier(j.pending, touches)
	for _, ch := range synced {
		for _, e := range ch {
			if e.dir.durable.entries == nil {
				e.dir.durable.entries = make(map[string]*node)
			}
			e.applyTo(e.dir.durable.entries)
		}
	}
	isSynced := make(map[*edit]bool, len(synced))
	for _, ch := range synced {
		isSynced[&ch[0]] = true
	}
	j.pending = slices.DeleteFunc(j.pending, func(ch change) bool { return isSynced[&ch[0]] })
}

// withEarlier is the changes that pick picks, with every earlier change to a
// name that they touch, in order.
func withEarlier(pending []change, pick func(change) bool) []change {
	type place struct {
		dir  *node
		name string
	}
	needed := make(map[place]bool)
	var picked []change
	for _, ch := range slices.Backward(pending) {
		in := pick(ch)
		for _, e := range ch {
			in = in || needed[place{e.dir, e.name}]
		}
		if !in {
			continue
		}
		for _, e := range ch {
			needed[place{e.dir, e.name}] = true
		}
		picked = append(picked, ch)
	}
	slices.Reverse(picked)
	return picked
}
