package lua

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"limpet/resp"
)

// evaluate runs a script with a Caller that knows nothing.
func evaluate(r *Runtime, script string, opts RunOptions) string {
	out := &resp.Writer{}
	sha, err := r.Load([]byte(script))
	if err != nil {
		out.Error(err.Error())
		return string(out.Buf)
	}
	r.Run(sha, nil, nil, func([][]byte, int) []byte { return []byte("-" + ErrUnknownCommand + "\r\n") }, out, opts)
	return string(out.Buf)
}

func TestLoad_KeepsScriptsBySHA1(t *testing.T) {
	r := New()
	sha, err := r.Load([]byte("return 1"))
	if err != nil || sha != "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" {
		t.Fatal(sha, err)
	}
	if !r.Exists(sha) || !r.Exists(strings.ToUpper(sha)) || r.Exists("") || r.Len() != 1 {
		t.Error("the script is not found under its SHA1")
	}
	r.Flush()
	if r.Exists(sha) {
		t.Error("the script is still there after Flush")
	}
	out := &resp.Writer{}
	r.Run(sha, nil, nil, nil, out, RunOptions{})
	if string(out.Buf) != "-NOSCRIPT No matching script. Please use EVAL.\r\n" {
		t.Errorf("%q", out.Buf)
	}
}

func TestLoad_BadScript_IsNotKept(t *testing.T) {
	r := New()
	if _, err := r.Load([]byte("return +")); err == nil || r.Len() != 0 {
		t.Error(err, r.Len())
	}
}

func TestFlags_AreThoseOfTheFirstLine(t *testing.T) {
	r := New()
	sha, err := r.Load([]byte("#!lua flags=no-writes,allow-stale\nreturn 1"))
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := r.Flags(sha); !ok || f != (Flags{Declared: true, NoWrites: true, AllowStale: true}) {
		t.Errorf("%+v", f)
	}
	sha, _ = r.Load([]byte("return 1"))
	if f, ok := r.Flags(sha); !ok || f != (Flags{}) {
		t.Errorf("%+v", f)
	}
	if _, ok := r.Flags("nothing"); ok {
		t.Error("flags of no script")
	}
}

func TestRun_Options_ReceiveWhatTheScriptSays(t *testing.T) {
	var logged []string
	var levels, flags []int
	var asked [][]byte
	opts := RunOptions{
		Log:            func(level int, message string) { levels, logged = append(levels, level), append(logged, message) },
		SetReplication: func(f int) { flags = append(flags, f) },
		MayRun: func(args [][]byte) (known, allowed bool) {
			asked = append(asked, slices.Clone(args[0]))
			return string(args[0]) != "nosuch", string(args[0]) == "get"
		},
	}
	got := evaluate(New(), `
		redis.log(redis.LOG_WARNING, 'a', 5, 'b')
		redis.set_repl(redis.REPL_AOF)
		return {redis.acl_check_cmd('get', 'k'), redis.acl_check_cmd('set', 'k'), pcall(redis.acl_check_cmd, 'nosuch')}`, opts)
	if want := "*4\r\n:1\r\n$-1\r\n$-1\r\n$51\r\nERR Invalid command passed to redis.acl_check_cmd()\r\n"; got != want {
		t.Errorf("%q", got)
	}
	if !slices.Equal(logged, []string{"a 5 b"}) || !slices.Equal(levels, []int{LogWarning}) || !slices.Equal(flags, []int{1}) {
		t.Error(logged, levels, flags)
	}
	if len(asked) != 3 || string(asked[1]) != "set" {
		t.Errorf("%q", asked)
	}
}

// hostile are scripts that try to take the process down or to leave something
// behind.
var hostile = map[string]string{
	"recursion":             `local function f() return 1 + f() end return f()`,
	"recursion, wide":       `local function f(...) return 1 + select('#', f(...)) end return f(unpack({}, 1, 200))`,
	"metamethod recursion":  `local t = setmetatable({}, {__index = function(t, k) return t[k .. 'x'] end}) return t.a`,
	"newindex recursion":    `local t = setmetatable({}, {__newindex = function(t, k, v) t[k .. 'x'] = v end}) t.a = 1`,
	"concat recursion":      `local m = {} m.__concat = function(a, b) return setmetatable({}, m) .. b end return setmetatable({}, m) .. 'x'`,
	"call recursion":        `local t = setmetatable({}, {}) getmetatable(t).__call = t return t()`,
	"eq recursion":          `local m = {} m.__eq = function(a, b) return a == b end return setmetatable({}, m) == setmetatable({}, m)`,
	"tostring recursion":    `local m = {} m.__tostring = function(t) return tostring(t) end return tostring(setmetatable({}, m))`,
	"pcall recursion":       `local function f() return pcall(f) end return f()`,
	"pcall deep":            `local function f(n) local ok = pcall(f, n + 1) error('x') end f(1)`,
	"xpcall in handler":     `local function h(e) error(e) end return xpcall(function() error('x') end, h)`,
	"gsub recursion":        `local function f() return (string.gsub('x', 'x', f)) end return f()`,
	"sort recursion":        `local function f() table.sort({3, 2, 1}, f) return true end f()`,
	"sort nonsense":         `local t = {} for i = 1, 1000 do t[i] = i % 7 end table.sort(t, function() return true end) return #t`,
	"sort mutating":         `local t = {3, 2, 1} table.sort(t, function(a, b) t[1] = nil return a < b end) return 1`,
	"index loop":            `local a, b = {}, {} setmetatable(a, {__index = b}) setmetatable(b, {__index = a}) return a.x`,
	"coroutine recursion":   `local function f() return coroutine.wrap(f)() end return f()`,
	"coroutine deep":        `return coroutine.wrap(function() local function f() return 1 + f() end return f() end)()`,
	"coroutine left alone":  `for i = 1, 1000 do local co = coroutine.wrap(function() coroutine.yield() end) co() end return 1`,
	"coroutine self":        `local co co = coroutine.create(function() return coroutine.resume(co) end) return {coroutine.resume(co)}`,
	"coroutine pcall yield": `local co = coroutine.wrap(function() pcall(coroutine.yield, 1) return 2 end) return {co(), co()}`,
	"coroutine sort yield":  `local co = coroutine.wrap(function() table.sort({3, 2, 1}, function() coroutine.yield() end) end) co() co()`,
	"coroutine error":       `local co = coroutine.create(function() local x; x() end) return {coroutine.resume(co)}`,
	"rep":                   `return string.rep('x', 2 ^ 31 - 1)`,
	"rep of long":           `return string.rep(string.rep('x', 1000), 10000000)`,
	"doubling":              `local s = 'x' while true do s = s .. s end`,
	"table concat":          `local t = {} for i = 1, 100 do t[i] = string.rep('x', 100000) end return table.concat(t, string.rep('y', 100000))`,
	"gsub growth":           `local s = string.rep('x', 1000) while true do s = string.gsub(s, '.', '%0%0%0%0') end`,
	"format growth":         `local s = 'x' while true do s = string.format('%s%s%s%s', s, s, s, s) end`,
	"json growth":           `local s = 'x' while true do s = cjson.encode({s, s, s, s}) end`,
	"msgpack growth":        `local s = 'x' while true do s = cmsgpack.pack(s, s, s, s) end`,
	"struct growth":         `local s = 'x' while true do s = struct.pack('c0c0c0c0', s, s, s, s) end`,
	"struct size":           `return struct.unpack('c2147483647', 'x')`,
	"struct padding":        `return struct.pack('!8 b i8', 1, 2)`,
	"pattern recursion":     `return string.match(string.rep('a', 300000), string.rep('a?', 300000))`,
	"pattern captures":      `return string.match('x', string.rep('(', 100) .. 'x')`,
	"unpack":                `return unpack({}, 1, 2 ^ 31)`,
	"unpack edges":          `return unpack({}, -2 ^ 31, 2 ^ 31 - 1)`,
	"insert far":            `local t = {} table.insert(t, 2 ^ 31 - 1, 'x') return t[2 ^ 31 - 1]`,
	"sparse":                `local t = {} t[2 ^ 26 - 1] = 1 t[2 ^ 40] = 2 return #t`,
	"many elements":         `local t = {} for i = 1, 1000000 do t[i] = i end return #t`,
	"many upvalues":         `local a, b = 1, 2 local fs = {} for i = 1, 10000 do fs[i] = function() a = a + i return a end end return fs[1]()`,
	"error in upvalue":      `local n = 0 local f = function() n = n + 1 error('x') end pcall(f) error(n)`,
	"error value table":     `error({})`,
	"error value cyclic":    `local t = {} t.err = t error(t)`,
	"error value function":  `error(print == nil)`,
	"error nil":             `error()`,
	"global write":          `x = 1`,
	"library write":         `string.rep = nil`,
	"library through raw":   `rawset(redis, 'call', nil)`,
	"library through meta":  `getmetatable('').__index.rep = nil`,
	"G metatable":           `getmetatable(_G).__index = nil`,
	"string metatable":      `setmetatable(getmetatable(''), nil)`,
	"keys table":            `KEYS[1] = 'x' ARGV = nil`,
	"cjson settings":        `cjson.encode_max_depth(1) cjson.decode_max_depth(1) cjson.encode_invalid_numbers(true)`,
	"resp":                  `redis.setresp(3) return 1`,
	"long chain":            `return 1` + strings.Repeat(" + 1", 100000),
	"long and":              `return 1` + strings.Repeat(" and 1", 100000),
	"long elseif":           `if false then ` + strings.Repeat("elseif false then ", 100000) + `end`,
	"long calls":            `local f f = function() return f end return f` + strings.Repeat("()", 100000),
	"long index":            `local t = {} t.a = t return t` + strings.Repeat(".a", 100000),
	"long not":              `return ` + strings.Repeat("not ", 100000) + `1`,
	"long minus":            `return ` + strings.Repeat("- ", 100000) + `1`,
	"long power":            `return 1` + strings.Repeat("^1", 100000),
	"long braces":           `return ` + strings.Repeat("{", 100000),
	"long functions":        strings.Repeat("return function() ", 100000),
	"load garbage":          `return loadstring(string.rep('{', 100000))`,
	"load bytecode":         `return loadstring('\27LuaQ')()`,
	"load loading":          `local s = 'return 1' for i = 1, 500 do s = string.format('return loadstring(%q)()', s):sub(1, 5000) end return loadstring(s)`,
	"next of stranger":      `return next({}, 'nothing')`,
	"nan key":               `local t = {} t[0 / 0] = 1`,
	"many concat operands":  `local x = 1 return x` + strings.Repeat(" .. x", 197),
	"for over nothing":      `for i = 1, 1 / 0 do if i > 1000 then return i end end`,
	"select edges":          `return select(-2 ^ 40, 1)`,
	"byte edges":            `return string.byte('x', -2 ^ 40, 2 ^ 40)`,
	"many locals":           "local a0 = 1 " + strings.Repeat("local a = 1 ", 198) + "return a0",
}

func TestRun_HostileScripts_EndAndLeaveNothingBehind(t *testing.T) {
	r := newRuntime(1000) // small, for a full one is slow under the race detector
	r.maxString = 16 << 20
	probe := `
		local names = {}
		for _, t in ipairs({_G, string, table, math, redis, cjson, struct, cmsgpack, bit, coroutine}) do
			for k in pairs(t) do names[#names + 1] = tostring(k) end
		end
		table.sort(names)
		local n = 0
		local function inc() n = n + 1 end
		inc() pcall(error) inc()
		return {table.concat(names, ' '), n, #KEYS, ('x'):rep(3), cjson.encode({{{}}}), redis.pcall('x').err, tostring(getmetatable('').__index == string)}`
	before := evaluate(r, probe, RunOptions{})
	if !strings.Contains(before, "setresp") {
		t.Fatalf("%q", before)
	}
	libraries := len(r.libraries)
	for name, script := range hostile {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			reply := evaluate(r, script, RunOptions{Context: ctx})
			if ctx.Err() != nil {
				t.Error("had to be ended")
			}
			if v, n, err := resp.Decode([]byte(reply)); err != nil || n != len(reply) {
				t.Errorf("not one reply: %.200q: %v", reply, err)
			} else if strings.Contains(v.Text(), "runtime error") {
				t.Errorf("%.300q", reply)
			}
			if after := evaluate(r, probe, RunOptions{}); after != before {
				t.Errorf("before %q\n after %q", before, after)
			}
			if r.state.GetTop() != 0 || len(r.libraries) != libraries || r.state.G.CurrentThread != r.state {
				t.Error("the state is not as it was")
			}
		})
	}
}

func TestRun_RecursionWithoutEnd_IsAnError(t *testing.T) {
	r := New()
	got := evaluate(r, `local function f() return 1 + f() end return f()`, RunOptions{})
	if !strings.HasPrefix(got, "-ERR user_script:1: stack overflow script: ") {
		t.Errorf("%q", got)
	}
	got = evaluate(r, `local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end return f(7000)`, RunOptions{})
	if got != ":7000\r\n" {
		t.Errorf("%q", got)
	}
}

func TestRun_ContextDone_EndsAnyScript(t *testing.T) {
	for name, script := range map[string]string{
		"loop":              `while true do end`,
		"caught":            `while true do pcall(function() while true do end end) end`,
		"caught again":      `local function f() pcall(f) while true do end end f()`,
		"handler":           `while true do xpcall(function() while true do end end, function(e) return e end) end`,
		"coroutine":         `while true do coroutine.resume(coroutine.create(function() while true do end end)) end`,
		"wrapped":           `coroutine.wrap(function() while true do end end)()`,
		"commands":          `while true do redis.pcall('ping') end`,
		"pattern":           `return string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40))`,
		"pattern, caught":   `while true do pcall(string.find, string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40)) end`,
		"calls":             `local function f(n) if n > 0 then f(n - 1) f(n - 1) end end f(1000)`,
		"metamethod":        `local t = setmetatable({}, {__index = function() while true do end end}) return t.x`,
		"sort":              `table.sort({1, 2, 3}, function() while true do end end)`,
		"loaded":            `loadstring('while true do end')()`,
		"load, endless":     `return load(function() return ' ' end)`,
		"for":               `for i = 1, 1 / 0 do end`,
		"coroutine, caught": `while true do local co = coroutine.wrap(function() pcall(function() while true do end end) end) pcall(co) end`,
	} {
		t.Run(name, func(t *testing.T) {
			r := New()
			ctx, cancel := context.WithCancelCause(t.Context())
			timer := time.AfterFunc(20*time.Millisecond, func() { cancel(ErrKilled) })
			defer timer.Stop()
			reply := evaluate(r, script, RunOptions{Context: ctx})
			if !strings.HasPrefix(reply, "-ERR Script killed by user with SCRIPT KILL... script: ") {
				t.Errorf("%q", reply)
			}
			if got := evaluate(r, "return 1", RunOptions{}); got != ":1\r\n" {
				t.Errorf("afterwards: %q", got)
			}
		})
	}
}

func TestRun_ContextDoneBefore_RunsNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("ERR too late"))
	got := evaluate(New(), "return 1", RunOptions{Context: ctx})
	if !strings.HasPrefix(got, "-ERR too late script: ") {
		t.Errorf("%q", got)
	}
}

func TestRun_PanicOfACommand_IsNotTheScriptsToCatch(t *testing.T) {
	for _, script := range []string{
		`return redis.call('x')`,
		`return pcall(redis.call, 'x')`,
		`return xpcall(function() redis.pcall('x') end, function() end)`,
		`return coroutine.resume(coroutine.create(function() redis.call('x') end))`,
		`return coroutine.wrap(function() pcall(redis.call, 'x') end)()`,
	} {
		r := New()
		sha, err := r.Load([]byte(script))
		if err != nil {
			t.Fatal(err)
		}
		panicked := func() (v any) {
			defer func() { v = recover() }()
			r.Run(sha, nil, nil, func([][]byte, int) []byte { panic("engine on fire") }, &resp.Writer{}, RunOptions{})
			return nil
		}()
		if text, _ := panicked.(string); !strings.Contains(text, "engine on fire") {
			t.Errorf("%s: panic %v", script, panicked)
		}
		if got := evaluate(r, "return 1", RunOptions{}); got != ":1\r\n" {
			t.Errorf("afterwards: %q", got)
		}
	}
}

func TestRun_Arguments_MayBeScribbledOver(t *testing.T) {
	r := New()
	sha, err := r.Load([]byte(`local s = 'constant' redis.call('x', s, KEYS[1]) return {s, KEYS[1], 'constant'}`))
	if err != nil {
		t.Fatal(err)
	}
	out := &resp.Writer{}
	scribble := func(args [][]byte, _ int) []byte {
		for _, a := range args {
			for i := range a {
				a[i] = '#'
			}
		}
		return []byte("+OK\r\n")
	}
	r.Run(sha, [][]byte{[]byte("key")}, nil, scribble, out, RunOptions{})
	if want := "*3\r\n$8\r\nconstant\r\n$3\r\nkey\r\n$8\r\nconstant\r\n"; string(out.Buf) != want {
		t.Errorf("%q", out.Buf)
	}
}

// What commands reply in RESP3, and what a script sees of it.
func TestCall_RepliesOfRESP3_BecomeTables(t *testing.T) {
	for reply, look := range map[string]string{
		"%2\r\n+a\r\n:1\r\n$1\r\nb\r\n_\r\n": `v.map[1] == nil and v.map.b == nil and 'ok'`,
		"%1\r\n$1\r\na\r\n:1\r\n":            `v.map.a == 1 and 'ok'`,
		"~2\r\n$1\r\na\r\n:5\r\n":            `v.set.a and v.set[5] and 'ok'`,
		",3.25\r\n":                          `v.double == 3.25 and 'ok'`,
		",inf\r\n":                           `v.double == math.huge and 'ok'`,
		",-inf\r\n":                          `v.double == -math.huge and 'ok'`,
		",nan\r\n":                           `v.double ~= v.double and 'ok'`,
		"#t\r\n":                             `v == true and 'ok'`,
		"#f\r\n":                             `v == false and 'ok'`,
		"_\r\n":                              `v == nil and 'ok'`,
		"$-1\r\n":                            `v == false and 'ok'`,
		"*-1\r\n":                            `v == false and 'ok'`,
		"(12345678901234567890\r\n":          `v.big_number == '12345678901234567890' and 'ok'`,
		"=8\r\ntxt:text\r\n":                 `v.verbatim_string.format == 'txt' and v.verbatim_string.string == 'text' and 'ok'`,
		">1\r\n:1\r\n":                       `v[1] == 1 and 'ok'`,
		"*3\r\n_\r\n:2\r\n*1\r\n#t\r\n":      `v[1] == nil and v[2] == 2 and v[3][1] == true and 'ok'`,
		"*2\r\n-ERR inner x\r\n+fine\r\n":    `v[1].err == 'ERR inner x' and v[2].ok == 'fine' and 'ok'`,
		"*1\r\n%1\r\n+k\r\n~1\r\n,1\r\n":     `v[1].map and 'ok'`,
		":9223372036854775807\r\n":           `v == 2^63 and 'ok'`,
		"$5\r\na\x00b\r\n\r\n":               `v == 'a\0b\r\n' and 'ok'`,
		"":                                   `v == nil and 'ok'`,
		"$5\r\nab":                           `v == nil and 'ok'`,
		"*2\r\n:1\r\n":                       `v[1] == 1 and v[2] == nil and 'ok'`,
		"*1000000000\r\n":                    `#v == 0 and 'ok'`,
		strings.Repeat("*1\r\n", 1000) + ":1\r\n": `type(v) == 'table' and 'ok'`,
	} {
		r := New()
		sha, err := r.Load([]byte("redis.setresp(3) local v = redis.call('x') return " + look))
		if err != nil {
			t.Fatal(err)
		}
		out := &resp.Writer{}
		r.Run(sha, nil, nil, func(_ [][]byte, proto int) []byte {
			if proto != 3 {
				t.Errorf("asked for RESP%d", proto)
			}
			return []byte(reply)
		}, out, RunOptions{})
		if string(out.Buf) != "$2\r\nok\r\n" {
			t.Errorf("%.60q: %.100q", reply, out.Buf)
		}
	}
}
