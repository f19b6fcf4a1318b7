package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"limpet/aof"
	"limpet/clock"
	"limpet/internal/command"
	"limpet/internal/keyspace"
)

// Engine is a store over a directory. Its methods may be called by many
// goroutines, but for those whose comment says that mu is held: they are called
// by the commands that the engine runs.
type Engine struct {
	options Options
	clock   clock.Clock
	logger  *slog.Logger
	dir     string
	runID   string
	started time.Time
	unlock  io.Closer // the directory's lock
	files   *aof.Dir
	log     *commitLog
	dumping *spoolGate

	background sync.WaitGroup // rewrites, saves, cron
	quit       chan struct{}  // closed by Close
	down       chan struct{}  // closed by SHUTDOWN; see Done

	naming   sync.Mutex // held while a dump gets its name; guards namedSeq
	namedSeq uint64     // newest unit that the dump of that name has

	mu          sync.Mutex // guards what follows
	ks          *keyspace.Keyspace
	unit        *command.Unit
	sessions    map[int64]*command.Session
	nextID      int64
	stopping    bool
	shutDown    bool
	noFinalSave bool // SHUTDOWN NOSAVE

	now     time.Time // of the running batch
	seq     uint64    // number of the newest unit that changed something
	records []byte    // effects of the running batch, not yet with the log
	logging bool      // effects are encoded for the log
	handed  uint64    // newest unit whose effects the log has
	logDB   int       // database selected at the end of the log, or NoDB
	lastTS  int64     // second of the last annotation

	logState    logState
	saves       saves
	dump        *dump // the snapshot under way, if any
	baseSize    int64 // bytes of the base
	oldSize     int64 // bytes of the incr files before the live one
	rewriteBase int64 // size after the last rewrite, for the growth rule
	loaded      loadStats
	functions   [][]byte // sources of function libraries found in the files

	settings     []setting // CONFIG's, by name
	port         int
	configFile   string
	maxClients   int
	accepted     int64
	rejected     int64
	opsPerSecond int64
	peakMemory   uint64
}

// newEngine is an engine with an empty keyspace and no log yet.
func newEngine(dir string, o Options) *Engine {
	o = o.withDefaults()
	e := &Engine{
		options: o, clock: o.Clock, logger: o.Logger, dir: dir, runID: newRunID(),
		started: o.Clock.Now(), dumping: newSpoolGate(),
		quit: make(chan struct{}), down: make(chan struct{}),
		ks: keyspace.New(o.Limits.Databases), sessions: map[int64]*command.Session{}, nextID: 1, logDB: command.NoDB,
		settings: slices.Clone(settings), maxClients: 10000,
	}
	e.unit = command.NewUnit(e.ks, e, o.Limits)
	e.saves = newSaves(e.started, e.dumping)
	return e
}

// newRunID names this run of the store: 40 hexadecimal digits, as Redis does.
// Clients that see another one know that the store was restarted.
func newRunID() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// RunID names this run of the store.
func (e *Engine) RunID() string { return e.runID }

// NewSession registers a connection.
func (e *Engine) NewSession(addr, local string) *command.Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := command.NewSession(e.nextID, addr, local, e.unit.Limits.Password == "", e.clock.Now().UnixMilli())
	e.nextID++
	e.accepted++
	e.sessions[s.ID] = s
	return s
}

// EndSession forgets a connection that has gone.
func (e *Engine) EndSession(s *command.Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unit.Forget(s)
	delete(e.sessions, s.ID)
}

// Sessions yields the connections. e.mu is held.
func (e *Engine) Sessions() iter.Seq[*command.Session] {
	return func(yield func(*command.Session) bool) {
		for id := int64(1); id < e.nextID; id++ {
			if s, ok := e.sessions[id]; ok && !yield(s) {
				return
			}
		}
	}
}

// SetPort tells INFO where the store listens.
func (e *Engine) SetPort(port int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.port = port
}

// SetConfigFile tells INFO where the configuration was read from.
func (e *Engine) SetConfigFile(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.configFile = path
}

// SetMaxClients tells INFO how many connections are served at a time.
func (e *Engine) SetMaxClients(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.maxClients = n
}

// AsksPassword tells whether clients must give one.
func (e *Engine) AsksPassword() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unit.Limits.Password != ""
}

// Names tells which command clients mean by a name, nil when none.
func (e *Engine) Names(name []byte) *command.Command { return e.unit.Names(name) }

// Rejected counts a connection that was refused.
func (e *Engine) Rejected() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rejected++
}

// refusal says why writes are refused, "" when they are not. e.mu is held.
func (e *Engine) refusal() string {
	if e.savesFail() {
		return misconfSave
	}
	if err := e.log.failure(); err != nil {
		return misconf(err)
	}
	return ""
}

// misconf is the wire error for what a broken log cannot take.
func misconf(err error) string { return "MISCONF Errors writing to the AOF file: " + reason(err) }

// Sleep is DEBUG SLEEP: everything waits. e.mu is held.
func (e *Engine) Sleep(seconds float64) {
	if seconds <= 0 {
		return
	}
	<-e.clock.After(time.Duration(min(seconds, 3600) * float64(time.Second)))
	e.now = e.clock.Now()
}

// ScriptLog is redis.log.
func (e *Engine) ScriptLog(level int, message string) {
	levels := [...]slog.Level{slog.LevelDebug, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn}
	e.logger.Log(context.Background(), levels[level], "script: "+message)
}

// ConfigResetStat is CONFIG RESETSTAT. e.mu is held.
func (e *Engine) ConfigResetStat() {
	e.ks.Stats = keyspace.Stats{}
	e.accepted, e.rejected = 0, 0
}

// Shutdown is SHUTDOWN: it lets whoever waits on Done close the engine. e.mu is
// held.
func (e *Engine) Shutdown(s *command.Session, o command.ShutdownOptions) (wireError string) {
	if o.Abort {
		return "ERR No shutdown in progress."
	}
	unfinished := e.logState == logStarting && e.saves.rewrite.running // Redis: "Writing initial AOF, can't exit"
	if (e.log.failure() != nil || unfinished) && !o.Force {
		return errShutdown
	}
	if o.Save || len(e.options.SavePoints) > 0 && !o.NoSave {
		if err := e.saveAtShutdown(); err != nil && !o.Force {
			return errShutdown
		}
	}
	e.noFinalSave = o.NoSave
	s.Closing = true
	if !e.shutDown {
		e.shutDown = true
		close(e.down)
	}
	return ""
}

const errShutdown = "ERR Errors trying to SHUTDOWN. Check logs."

// Done is closed when a client has asked for SHUTDOWN.
func (e *Engine) Done() <-chan struct{} { return e.down }

// Close syncs everything, saves where there are save points, and releases the
// directory. Writes are refused from then on. Its error says that acknowledged
// writes may be missing on disk.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.stopping {
		e.mu.Unlock()
		return nil
	}
	e.stopping = true
	if e.saves.snapshot {
		e.abortDump(ErrClosed) // its writer may take for ever
	}
	e.mu.Unlock()
	close(e.quit)
	e.background.Wait()
	e.mu.Lock()
	e.log.seal()
	e.mu.Unlock()
	err := errors.Join(e.log.close(), e.saveAtClose())
	if err = errors.Join(err, e.unlock.Close()); err != nil {
		return fmt.Errorf("engine: close %s: %w", e.dir, err)
	}
	return nil
}

// logSize is the size of base and incr files together. e.mu is held.
func (e *Engine) logSize() int64 { return e.baseSize + e.oldSize + e.log.size.Load() }
