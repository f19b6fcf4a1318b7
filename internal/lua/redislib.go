package lua

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// The release of Redis that scripts are told they run on.
const (
	redisVersion    = "7.0.15"
	redisVersionNum = 0x0007000F
)

// openRedis makes the library through which a script reaches the server.
func (r *Runtime) openRedis() {
	t := r.library("redis", map[string]glua.LGFunction{
		"acl_check_cmd":      r.redisACLCheck,
		"breakpoint":         r.redisBreakpoint,
		"call":               r.redisCall,
		"debug":              func(*glua.LState) int { return 0 },
		"error_reply":        r.redisErrorReply,
		"log":                r.redisLog,
		"pcall":              r.redisPCall,
		"replicate_commands": r.redisReplicateCommands,
		"set_repl":           r.redisSetRepl,
		"setresp":            r.redisSetResp,
		"sha1hex":            r.redisSHA1Hex,
		"status_reply":       r.redisStatusReply,
	})
	for name, n := range map[string]int{
		"LOG_DEBUG": LogDebug, "LOG_VERBOSE": LogVerbose, "LOG_NOTICE": LogNotice, "LOG_WARNING": LogWarning,
		"REPL_NONE": 0, "REPL_AOF": 1, "REPL_SLAVE": 2, "REPL_REPLICA": 2, "REPL_ALL": 3,
		"REDIS_VERSION_NUM": redisVersionNum,
	} {
		t.RawSetString(name, glua.LNumber(n))
	}
	t.RawSetString("REDIS_VERSION", glua.LString(redisVersion))
}

// redisCall is redis.call: an error reply ends the script.
func (r *Runtime) redisCall(L *glua.LState) int {
	v := r.command(L)
	if isErrorReply(v) {
		r.throw(v)
	}
	L.Push(v)
	return 1
}

// redisPCall is redis.pcall: an error reply is a table with an err field.
func (r *Runtime) redisPCall(L *glua.LState) int {
	L.Push(r.command(L))
	return 1
}

func isErrorReply(v glua.LValue) bool {
	t, ok := v.(*glua.LTable)
	return ok && t.RawGetString("err") != glua.LNil
}

// command runs the command that the arguments spell and gives its reply as a
// Lua value.
func (r *Runtime) command(L *glua.LState) glua.LValue {
	if L.GetTop() == 0 {
		return errorTable("ERR Please specify at least one argument for this redis lib call")
	}
	if !r.readArguments(L) {
		return errorTable("ERR Lua redis lib command arguments must be strings or integers")
	}
	if r.call == nil {
		return commandError(ErrNotAllowed)
	}
	reply := r.invoke()
	if len(reply) > 0 && reply[0] == '-' {
		return commandError(errorLine(reply))
	}
	v, _ := readReply(reply, 0)
	return v
}

// invoke marks the time that is spent outside of Lua: a panic from there is not
// an error of the script, see [Runtime.propagate].
func (r *Runtime) invoke() []byte {
	r.outside = true
	reply := r.call(r.args, r.proto)
	r.outside = false
	return reply
}

// readArguments copies the arguments of the running function to r.args. The
// copy keeps Go's strings from a command that would scribble over its
// arguments, and costs no allocation.
func (r *Runtime) readArguments(L *glua.LState) bool {
	n := L.GetTop()
	r.lengths, r.argBytes = r.lengths[:0], r.argBytes[:0]
	for i := 1; i <= n; i++ {
		before := len(r.argBytes)
		switch v := L.Get(i).(type) {
		case glua.LString:
			r.argBytes = append(r.argBytes, v...)
		case glua.LNumber:
			r.argBytes = appendArgument(r.argBytes, float64(v))
		default:
			return false
		}
		r.lengths = append(r.lengths, len(r.argBytes)-before)
	}
	r.args = r.args[:0]
	rest := r.argBytes
	for _, length := range r.lengths {
		r.args = append(r.args, rest[:length:length])
		rest = rest[length:]
	}
	return true
}

// errorTable is an error as redis.call throws it.
func errorTable(text string) *glua.LTable { return field("err", glua.LString(text)) }

// commandError is a command's error reply. The server has counted it already,
// which Redis notes in the table.
func commandError(text string) *glua.LTable {
	t := errorTable(text)
	t.RawSetString("ignore_error_stats_update", glua.LTrue)
	return t
}

// errorLine is the text of a RESP error.
func errorLine(reply []byte) string {
	text, _, _ := bytes.Cut(reply[1:], []byte("\r\n"))
	return string(text)
}

// errorText gives an error text that a script made the form "CODE message": a
// text of one word has no code and gets "ERR".
func errorText(text string) string {
	text = strings.TrimPrefix(text, "-")
	text = strings.TrimRight(text, "\r\n")
	if !strings.Contains(text, " ") {
		return "ERR " + text
	}
	return text
}

func (r *Runtime) redisErrorReply(L *glua.LState) int {
	text, ok := L.Get(1).(glua.LString)
	if L.GetTop() != 1 || !ok {
		L.Push(errorTable("ERR wrong number or type of arguments"))
		return 1
	}
	L.Push(errorTable(errorText(string(text))))
	return 1
}

func (r *Runtime) redisStatusReply(L *glua.LState) int {
	text, ok := L.Get(1).(glua.LString)
	if L.GetTop() != 1 || !ok {
		L.Push(errorTable("ERR wrong number or type of arguments"))
		return 1
	}
	L.Push(field("ok", text))
	return 1
}

func (r *Runtime) redisSHA1Hex(L *glua.LState) int {
	if L.GetTop() != 1 {
		r.throw(errorTable("ERR wrong number of arguments"))
	}
	text, _ := toText(L.Get(1))
	sum := sha1.Sum([]byte(text))
	L.Push(glua.LString(hex.EncodeToString(sum[:])))
	return 1
}

func (r *Runtime) redisLog(L *glua.LState) int {
	if L.GetTop() < 2 {
		r.throw(errorTable("ERR redis.log() requires two arguments or more."))
	}
	n, ok := toNumber(L.Get(1))
	if !ok {
		r.throw(errorTable("ERR First argument must be a number (log level)."))
	}
	level := toInt64(n)
	if level < LogDebug || level > LogWarning {
		r.throw(errorTable("ERR Invalid debug level."))
	}
	if r.opts.Log == nil {
		return 0
	}
	var words []string
	for i := 2; i <= L.GetTop(); i++ {
		if text, ok := toText(L.Get(i)); ok {
			words = append(words, text)
		}
	}
	r.opts.Log(int(level), strings.Join(words, " "))
	return 0
}

func (r *Runtime) redisSetResp(L *glua.LState) int {
	if L.GetTop() != 1 {
		r.throw(errorTable("ERR redis.setresp() requires one argument."))
	}
	n, _ := toNumber(L.Get(1))
	if v := toInt64(n); v != 2 && v != 3 {
		r.throw(errorTable("ERR RESP version must be 2 or 3."))
	}
	r.proto = int(n)
	return 0
}

// redisReplicateCommands says that effects are replicated, which is all that
// there is.
func (r *Runtime) redisReplicateCommands(L *glua.LState) int {
	L.Push(glua.LTrue)
	return 1
}

// redisBreakpoint says that no debugger is attached.
func (r *Runtime) redisBreakpoint(L *glua.LState) int {
	L.Push(glua.LFalse)
	return 1
}

func (r *Runtime) redisSetRepl(L *glua.LState) int {
	if L.GetTop() != 1 {
		r.throw(errorTable("ERR redis.set_repl() requires two arguments."))
	}
	n, _ := toNumber(L.Get(1))
	flags := toInt64(n)
	if flags&^3 != 0 {
		r.throw(errorTable("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."))
	}
	if r.opts.SetReplication != nil {
		r.opts.SetReplication(int(flags))
	}
	return 0
}

func (r *Runtime) redisACLCheck(L *glua.LState) int {
	if L.GetTop() == 0 {
		r.throw(errorTable("ERR Please specify at least one argument for this redis lib call"))
	}
	if !r.readArguments(L) {
		r.throw(errorTable("ERR Lua redis lib command arguments must be strings or integers"))
	}
	known, allowed := true, true
	if r.opts.MayRun != nil {
		known, allowed = r.opts.MayRun(r.args)
	}
	if !known {
		r.throw(errorTable("ERR Invalid command passed to redis.acl_check_cmd()"))
	}
	L.Push(glua.LBool(allowed))
	return 1
}
