package engine

import (
	"runtime"
	"time"
)

// Stats are the figures of INFO as Go values. Each field's meaning and unit stand
// at the type of the same name in the root package, to which this is converted:
// the compiler keeps the two in step.
type Stats struct {
	Uptime time.Duration

	Keys     map[int]int
	Volatile map[int]int

	Clients    int
	MaxClients int
	Accepted   int64
	Rejected   int64

	Commands          int64
	CommandsPerSecond int64
	Hits              int64
	Misses            int64
	Expired           int64

	UsedMemory uint64
	PeakMemory uint64
	HeldMemory uint64

	AppendOnly    bool
	Fsync         Policy
	LogBytes      int64
	BaseBytes     int64
	BufferedBytes int64
	Unsynced      uint64
	UnsyncedSince time.Time
	LastSync      time.Time
	SlowSyncs     int64
	LogError      error

	Rewriting        bool
	RewriteScheduled bool
	Rewrites         int
	RewriteFailures  int
	RewriteTook      time.Duration
	RewriteError     error

	Saving        bool
	SaveScheduled bool
	Saves         int
	SaveTook      time.Duration
	SaveError     error
	LastSave      time.Time
	Changes       int64

	Snapshotting bool
	KeysWritten  int
	KeysToWrite  int
	InFlight     int64
	LastCut      time.Duration
}

// Stats gives the figures of this moment.
func (e *Engine) Stats() Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	log, counts, saves := e.log.stats(), e.ks.Stats, &e.saves
	walk := saves.report(now)
	s := Stats{
		Uptime: now.Sub(e.started),
		Keys:   map[int]int{}, Volatile: map[int]int{},

		Clients: len(e.sessions), MaxClients: e.maxClients, Accepted: e.accepted, Rejected: e.rejected,
		Commands: counts.Commands, CommandsPerSecond: e.opsPerSecond,
		Hits: counts.Hits, Misses: counts.Misses, Expired: counts.Expired,

		AppendOnly: e.logState != logOff, Fsync: Policy(e.log.policy.Load()),
		Unsynced:      e.seq - min(e.seq, e.log.durable.Load()),
		UnsyncedSince: log.waiting, LastSync: log.lastSync, SlowSyncs: log.delayed, LogError: log.broken,

		Rewriting: saves.rewrite.running, RewriteScheduled: saves.rewriteQueued, Rewrites: saves.rewrite.done,
		RewriteFailures: saves.failures, RewriteTook: max(0, saves.rewrite.took), RewriteError: saves.rewrite.lastErr,

		Saving: saves.save.running, SaveScheduled: saves.saveQueued, Saves: saves.save.done,
		SaveTook: max(0, saves.save.took), SaveError: saves.save.lastErr, LastSave: saves.lastSave, Changes: e.unit.Changes,

		Snapshotting: saves.snapshot, KeysWritten: walk.keysDone, KeysToWrite: walk.keysTotal, InFlight: walk.inFlight,
		LastCut: saves.lastCut,
	}
	if s.AppendOnly {
		s.LogBytes, s.BaseBytes, s.BufferedBytes = e.logSize(), e.baseSize, int64(log.buffered)
	}
	for i := range e.ks.Databases() {
		if db := e.ks.DB(i); db.Len() > 0 {
			s.Keys[i], s.Volatile[i] = db.Len(), db.Volatile()
		}
	}
	s.UsedMemory, s.HeldMemory = e.memory()
	s.PeakMemory = e.peakMemory
	return s
}

// memory is what the process has, in bytes: in objects, and from the system. e.mu
// is held.
func (e *Engine) memory() (used, held uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	e.peakMemory = max(e.peakMemory, m.HeapAlloc)
	return m.HeapAlloc, m.Sys - m.HeapReleased
}
