package lua

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strings"

	"limpet/resp"

	glua "github.com/yuin/gopher-lua"
)

// A Caller runs one command for a script and gives back its reply as RESP
// bytes in the version proto, 2 or 3. The arguments are valid until it returns,
// the reply until it is called again. What Redis refuses before it runs a
// command (an unknown name, a wrong number of arguments, a command that scripts
// may not use, a write where none is allowed) is an error reply too: see the
// Err constants for Redis's wording.
type Caller func(args [][]byte, proto int) (reply []byte)

// What a [Caller] answers to calls that Redis refuses inside scripts, without
// the leading '-' and the line end.
const (
	ErrUnknownCommand = "ERR Unknown Redis command called from script"
	ErrWrongArity     = "ERR Wrong number of args calling Redis command from script"
	ErrNotAllowed     = "ERR This Redis command is not allowed from script"
	ErrWriteReadOnly  = "ERR Write commands are not allowed from read-only scripts."
)

// ErrNoScript is the reply to a SHA1 that no script was loaded under.
const ErrNoScript = "NOSCRIPT No matching script. Please use EVAL."

// ErrKilled is the cause to cancel a run's context with when SCRIPT KILL ends
// it; its text is Redis's.
var ErrKilled = killed{}

type killed struct{}

func (killed) Error() string { return "ERR Script killed by user with SCRIPT KILL..." }

// Levels of redis.log.
const (
	LogDebug = iota
	LogVerbose
	LogNotice
	LogWarning
)

// RunOptions are the circumstances of one run. The zero value is a script that
// cannot be interrupted and logs nothing.
type RunOptions struct {
	// Context ends the script when it is done, at the next instruction and in
	// no way that the script could catch. The text of context.Cause becomes the
	// error, so it should begin with a code: see ErrKilled. nil: the script runs
	// until it ends, and instructions that call nothing are up to a tenth
	// cheaper.
	Context context.Context

	// Log receives redis.log; nil drops it.
	Log func(level int, message string)

	// SetReplication receives redis.set_repl: 0 none, 1 log, 2 replicas, 3 both.
	SetReplication func(flags int)

	// MayRun answers redis.acl_check_cmd. nil: every command is known and
	// allowed.
	MayRun func(args [][]byte) (known, allowed bool)
}

// Runtime runs scripts. It has one Lua state, prepared once, and a cache of
// compiled scripts that grows until [Runtime.Flush]. It is for one goroutine at
// a time.
type Runtime struct {
	state   *glua.LState
	scripts map[string]*script // by SHA1, lower case hex

	libraries  map[*glua.LTable]*glua.LTable // read-only stand-in to what it stands for; see guard.go
	globals    *glua.LTable                  // the real globals, which only this package writes to
	guarded    *glua.LTable                  // the stand-in that scripts get
	handler    *glua.LFunction               // what a run's errors pass through; see fault.go
	caught     *glua.LFunction               // the same for pcall inside a script
	stringMeta *glua.LTable                  // what getmetatable shows of strings
	maxString  int                           // MaxString, less in tests
	random     rand48                        // behind math.random
	upvalues   map[string]*glua.Upvalue      // of every chunk, by name; see compile.go

	// Of the present run.
	call     Caller
	opts     RunOptions
	proto    int               // what redis.setresp chose
	json     jsonSettings      // of the cjson that scripts share
	chunks   map[string]string // name as shown in errors to name as given to loadstring
	outside  bool              // the Caller is running
	raised   bool              // the error on its way was raised by this package, not by gopher-lua
	source   string            // where the error arose that ended the run: chunk name,
	line     int               // and line; 0 when not known
	args     [][]byte          // scratch of redis.call
	argBytes []byte            // what args point into
	lengths  []int             // scratch of redis.call
}

type script struct {
	body  *glua.LFunction
	flags Flags
}

const (
	// Calls may nest as deep as this before "stack overflow", whether by Lua or
	// by way of a library function or metamethod. Redis's Lua goes to about
	// 20000 and 200. (gopher-lua's traceback of a full stack, which nobody sees,
	// takes the square of it.)
	callStackSize = 8000
	// Values on the register stack. It must hold what unpack may return and the
	// registers of callStackSize frames of ordinary functions.
	registryMaxSize = 1 << 18
	registrySize    = 4096
	registryStep    = 8192
	// Coroutines have stacks of their own, which begin small and grow.
	coroutineCallStackSize = 2000
	coroutineRegistrySize  = 64
	coroutineRegistryStep  = 512

	// MaxString is the longest string, in bytes, that a library function or a
	// concatenation makes: Redis's limit on a value.
	MaxString = resp.MaxBulk
)

// New makes a runtime with an empty cache.
func New() *Runtime { return newRuntime(callStackSize) }

func newRuntime(callStack int) *Runtime {
	state := glua.NewState(glua.Options{
		CallStackSize:    callStack,
		RegistrySize:     registrySize,
		RegistryMaxSize:  registryMaxSize,
		RegistryGrowStep: registryStep,
		SkipOpenLibs:     true,
	})
	state.Options = glua.Options{ // what a new coroutine is made by
		CallStackSize:       coroutineCallStackSize,
		MinimizeStackMemory: true,
		RegistrySize:        coroutineRegistrySize,
		RegistryMaxSize:     registryMaxSize,
		RegistryGrowStep:    coroutineRegistryStep,
	}
	r := &Runtime{
		state:     state,
		scripts:   make(map[string]*script),
		libraries: make(map[*glua.LTable]*glua.LTable),
		random:    newRand48,
		maxString: MaxString,
	}
	r.handler = state.NewFunction(r.onUncaught)
	r.caught = state.NewFunction(r.onCaught)
	r.openLibraries()
	redis := r.open(r.globals.RawGetString(redisName).(*glua.LTable))
	r.upvalues = map[string]*glua.Upvalue{
		concatName: closedUpvalue(state, state.NewFunction(r.concatenate)),
		callName:   closedUpvalue(state, redis.RawGetString("call")),
		pcallName:  closedUpvalue(state, redis.RawGetString("pcall")),
	}
	return r
}

// closedUpvalue is a variable of no living function.
func closedUpvalue(L *glua.LState, v glua.LValue) *glua.Upvalue {
	return L.NewClosure(nil, v).Upvalues[0]
}

// Load compiles a script and keeps it under the SHA1 of its text, which it
// gives back in lower case hex. The error is the reply that Redis sends, code
// included: "ERR Error compiling script (new function): user_script:1: ...".
func (r *Runtime) Load(src []byte) (sha string, err error) {
	sum := sha1.Sum(src)
	sha = hex.EncodeToString(sum[:])
	if r.scripts[sha] != nil {
		return sha, nil
	}
	s, err := r.newScript(string(src))
	if err != nil {
		return sha, err
	}
	r.scripts[sha] = s
	return sha, nil
}

// Exists tells whether a script is loaded under the SHA1, in hex of any case.
func (r *Runtime) Exists(sha string) bool { return r.find(sha) != nil }

// Flags are the flags that the script declares in its first line.
func (r *Runtime) Flags(sha string) (f Flags, ok bool) {
	s := r.find(sha)
	if s == nil {
		return f, false
	}
	return s.flags, true
}

// Len is the number of scripts in the cache.
func (r *Runtime) Len() int { return len(r.scripts) }

// Flush forgets all scripts.
func (r *Runtime) Flush() { clear(r.scripts) }

func (r *Runtime) find(sha string) *script {
	if s := r.scripts[sha]; s != nil {
		return s
	}
	return r.scripts[strings.ToLower(sha)]
}

// Run runs a loaded script and writes its one reply, which may be an error, to
// out. Keys and argv are copied.
func (r *Runtime) Run(sha string, keys, argv [][]byte, call Caller, out *resp.Writer, opts RunOptions) {
	s := r.find(sha)
	if s == nil {
		out.Error(ErrNoScript)
		return
	}
	r.begin(keys, argv, call, opts)
	defer r.end()
	L := r.state
	if opts.Context != nil {
		L.SetContext(opts.Context)
		defer L.RemoveContext()
	}
	L.Push(s.body)
	if err := L.PCall(0, 1, r.handler); err != nil {
		r.propagate(err)
		r.writeFault(out, err, sha)
		return
	}
	r.writeReply(out, L.Get(-1))
}

func (r *Runtime) begin(keys, argv [][]byte, call Caller, opts RunOptions) {
	r.call, r.opts = call, opts
	r.proto = 2
	r.json = defaultJSON
	r.outside, r.raised, r.source, r.line = false, false, "", 0
	r.globals.RawSetString("KEYS", stringTable(keys))
	r.globals.RawSetString("ARGV", stringTable(argv))
}

// keepScratch is the most, in bytes, that the scratch of redis.call may keep.
const keepScratch = 1 << 20

func (r *Runtime) end() {
	r.state.SetTop(0)
	r.state.G.CurrentThread = r.state
	r.globals.RawSetString("KEYS", glua.LNil)
	r.globals.RawSetString("ARGV", glua.LNil)
	r.call, r.opts, r.chunks = nil, RunOptions{}, nil
	clear(r.args)
	if cap(r.argBytes) > keepScratch {
		r.argBytes = nil
	}
}

func stringTable(values [][]byte) *glua.LTable {
	t := newTable(len(values), 0)
	for i, v := range values {
		t.RawSetInt(i+1, glua.LString(v))
	}
	return t
}
