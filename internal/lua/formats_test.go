package lua

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"limpet/resp"

	"pgregory.net/rapid"
)

// withArgs runs a script that gets args as ARGV.
func withArgs(r *Runtime, script string, args ...string) string {
	sha, err := r.Load([]byte(script))
	if err != nil {
		return "-" + err.Error() + "\r\n"
	}
	argv := make([][]byte, len(args))
	for i, a := range args {
		argv[i] = []byte(a)
	}
	out := &resp.Writer{}
	r.Run(sha, nil, argv, nil, out, RunOptions{})
	return string(out.Buf)
}

// same is Lua for "these two values are equal, looking into tables".
const same = `
local function same(a, b)
	if type(a) ~= type(b) then return false end
	if type(a) ~= 'table' then return a == b or a ~= a and b ~= b end
	for k, v in pairs(a) do if not same(v, b[k]) then return false end end
	for k, v in pairs(b) do if a[k] == nil then return false end end
	return true
end
`

// luaValue draws the text of a Lua value: what keys and leaves may be is given.
func luaValue(t *rapid.T, leaf *rapid.Generator[string], key *rapid.Generator[string], depth int) string {
	switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
	case depth == 0 || kind < 2:
		return leaf.Draw(t, "leaf")
	case kind == 2:
		var b strings.Builder
		b.WriteString("{")
		for range rapid.IntRange(0, 5).Draw(t, "items") {
			b.WriteString(luaValue(t, leaf, key, depth-1) + ",")
		}
		return b.String() + "}"
	default:
		var b strings.Builder
		b.WriteString("{")
		for range rapid.IntRange(1, 5).Draw(t, "fields") {
			b.WriteString("[" + key.Draw(t, "key") + "]=" + luaValue(t, leaf, key, depth-1) + ",")
		}
		return b.String() + "}"
	}
}

func luaString(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("'")
	for _, c := range rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes") {
		b.WriteString(`\` + strconv.Itoa(1000 + int(c))[1:])
	}
	return b.String() + "'"
}

func luaLeaf(whole bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 3).Draw(t, "leaf kind") {
		case 0:
			return strconv.FormatInt(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "int"), 10)
		case 1:
			if !whole {
				return "(" + strconv.FormatFloat(rapid.Float64().Draw(t, "float"), 'g', -1, 64) + ")"
			}
			return "0.5"
		case 2:
			return strconv.FormatBool(rapid.Bool().Draw(t, "bool"))
		}
		return luaString(t)
	})
}

func TestCMsgpack_Unpack_UndoesPack(t *testing.T) {
	r := New()
	rapid.Check(t, func(t *rapid.T) {
		v := luaValue(t, luaLeaf(false), rapid.Custom(luaString), 4)
		script := same + "local v = " + v + " return same(v, cmsgpack.unpack(cmsgpack.pack(v)))"
		if got := withArgs(r, script); got != ":1\r\n" {
			t.Errorf("%s: %q", v, got)
		}
		r.Flush()
	})
}

func TestCJSON_Decode_UndoesEncode(t *testing.T) {
	r := New()
	rapid.Check(t, func(t *rapid.T) {
		v := luaValue(t, luaLeaf(true), rapid.Custom(luaString), 4)
		script := same + "local v = " + v + " return same(v, cjson.decode(cjson.encode(v)))"
		if got := withArgs(r, script); got != ":1\r\n" {
			t.Errorf("%s: %q", v, got)
		}
		r.Flush()
	})
}

func TestStruct_Unpack_UndoesPack(t *testing.T) {
	r := New()
	const script = same + `
		local f, v = ARGV[1], {struct.unpack(ARGV[2], ARGV[3])}
		v[#v] = nil
		local back = {struct.unpack(f, struct.pack(f, unpack(v)))}
		back[#back] = nil
		return same(v, back)`
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{"", ">", "<", "!4", ">!"}).Draw(t, "order")
		format += strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"b", "B", "h", "H", "i", "I", "i3", "I5", "i1", "f", "x", "c4",
		}), 1, 10).Draw(t, "options"), "")
		data := rapid.SliceOfN(rapid.ByteRange(1, 126), 120, 120).Draw(t, "data")
		if got := withArgs(r, script, format, format, string(data)); got != ":1\r\n" {
			t.Errorf("%s %q: %q", format, data, got)
		}
	})
}

func TestBit_Operations_AreThoseOf32Bits(t *testing.T) {
	r := New()
	const script = `
		local a, b, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
		return {bit.band(a, b), bit.bor(a, b), bit.bxor(a, b), bit.bnot(a), bit.lshift(a, n), bit.rshift(a, n),
			bit.arshift(a, n), bit.rol(a, n), bit.ror(a, n)}`
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int32().Draw(t, "a"), rapid.Int32().Draw(t, "b")
		n := rapid.IntRange(0, 31).Draw(t, "n")
		u := uint32(a)
		want := &resp.Writer{}
		want.Array(9)
		for _, v := range []int32{a & b, a | b, a ^ b, ^a, a << n, int32(u >> n), a >> n, int32(u<<n | u>>(32-n)), int32(u>>n | u<<(32-n))} {
			want.Int(int64(v))
		}
		got := withArgs(r, script, strconv.Itoa(int(a)), strconv.Itoa(int(b)), strconv.Itoa(n))
		if got != string(want.Buf) {
			t.Errorf("%d %d %d: %q, want %q", a, b, n, got, want.Buf)
		}
	})
}

// What reads bytes from outside must survive any of them.
func FuzzDecoders_NeverPanic(f *testing.F) {
	f.Add(`{"a":[1,2.5e3,"\u00e9\ud83d\ude00",null,true]}`, "Bc0")
	f.Add("\x93\x01\xa1a\x81\xa1k\xc0", ">I2s!4i4d")
	f.Add("[[[[", "i33")
	f.Add("\xdd\xff\xff\xff\xff", "c99999999999")
	r := New()
	r.maxString = 1 << 20
	f.Fuzz(func(t *testing.T, data, format string) {
		for _, script := range []string{
			`return cjson.encode(cjson.decode(ARGV[1]))`,
			`return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))`,
			`return {cmsgpack.unpack_limit(ARGV[1], 3, 1)}`,
			`return {struct.unpack(ARGV[2], ARGV[1])}`,
			`return {struct.unpack(ARGV[2], ARGV[1], 3)}`,
			`return struct.size(ARGV[2])`,
			`return struct.pack(ARGV[2], 1, ARGV[1], 3)`,
			`return string.format(ARGV[1], 1, ARGV[2], 3)`,
			`return {tonumber(ARGV[1]), tonumber(ARGV[1], 16)}`,
		} {
			checkReply(t, script, withArgs(r, script, data, format))
		}
	})
}

func FuzzPatterns_NeverPanic(f *testing.F) {
	f.Add("key=value", "(%w+)=(%w*)$", "%2 %0")
	f.Add("f(a(b)c)", "%b()", "")
	f.Add("THE (quick)", "%f[%a]%a+[^%s]-", "%1")
	r := New()
	r.maxString = 1 << 20
	f.Fuzz(func(t *testing.T, s, pattern, replacement string) {
		if len(s) > 50 || len(pattern) > 20 {
			return // backtracking is exponential, and may be
		}
		for _, script := range []string{
			`return {string.find(ARGV[1], ARGV[2])}`,
			`return {string.gsub(ARGV[1], ARGV[2], ARGV[3])}`,
			`local n = 0 for a in string.gmatch(ARGV[1], ARGV[2]) do n = n + 1 end return n`,
		} {
			checkReply(t, script, withArgs(r, script, s, pattern, replacement))
		}
	})
}

func FuzzLoad_NeverPanics(f *testing.F) {
	for _, script := range hostile {
		if len(script) < 1000 {
			f.Add(script)
		}
	}
	f.Fuzz(func(_ *testing.T, script string) {
		r := New()
		_, _ = r.Load([]byte(script))
	})
}

// What a command answers is handed to the script, and what the script gives back
// is a reply, whatever both are. Plain replies come back as they were.
func FuzzBridge_AnyReply_ComesBackAsAReply(f *testing.F) {
	for _, reply := range []string{"+OK\r\n", ":42\r\n", "$3\r\na\r\n\r\n", "*2\r\n:1\r\n*1\r\n$-1\r\n", "-ERR no\r\n", "%1\r\n+k\r\n,1.5\r\n",
		"~2\r\n:1\r\n#t\r\n", "=7\r\ntxt:abc\r\n", "(12345678901234567890\r\n", "_\r\n", ",nan\r\n", ">1\r\n+x\r\n", "*-1\r\n", "*9999999\r\n", "%1\r\n_\r\n_\r\n"} {
		f.Add([]byte(reply))
	}
	scripts := []string{
		`return redis.call('X')`,
		`return redis.pcall('X')`,
		`redis.setresp(3) return redis.call('X')`,
		`local r = redis.pcall('X') return {r, r, type(r), cjson.encode({tostring(r)})}`,
	}
	r := New()
	r.maxString = 1 << 20
	f.Fuzz(func(t *testing.T, reply []byte) {
		call := func([][]byte, int) []byte { return bytes.Clone(reply) }
		v, n, err := resp.Decode(reply)
		plain := err == nil && n == len(reply) && comesBack(v)
		for i, script := range scripts {
			sha, err := r.Load([]byte(script))
			if err != nil {
				t.Fatal(err)
			}
			for proto := 2; proto <= 3; proto++ {
				out := &resp.Writer{Proto: proto}
				r.Run(sha, nil, nil, call, out, RunOptions{})
				checkReply(t, script, string(out.Buf))
				if i == 0 && proto == 2 && plain && string(out.Buf) != string(reply) {
					t.Errorf("%q came back as %q", reply, out.Buf)
				}
			}
		}
	})
}

// comesBack tells whether a reply is one that Lua's values lose nothing of.
func comesBack(v resp.Value) bool {
	switch v.Kind {
	case resp.BulkString:
		return true
	case resp.Integer:
		return -1<<53 < v.Int && v.Int < 1<<53
	case resp.ArrayReply:
		return len(v.Elems) < 1000 && !slices.ContainsFunc(v.Elems, func(e resp.Value) bool { return !comesBack(e) })
	}
	return false
}

func checkReply(t *testing.T, script, reply string) {
	t.Helper()
	v, n, err := resp.Decode([]byte(reply))
	if err != nil || n != len(reply) || strings.Contains(v.Text(), "runtime error") {
		t.Errorf("%s: %q", script, reply)
	}
}

// randomNumbers are doubles of all kinds, as ARGV of a script.
func randomNumbers(t *testing.T, n int) []string {
	seed := uint64(os.Getpid())
	if s, err := strconv.ParseUint(os.Getenv("LIMPET_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("LIMPET_SEED=%d", seed)
	x := rand48(seed)
	bits := func() (v uint64) {
		for range 3 {
			v = v<<24 ^ uint64(x.next())
		}
		return v
	}
	numbers := make([]string, 0, n)
	for i := range n {
		var f float64
		switch i % 4 {
		case 0:
			f = math.Float64frombits(bits())
		case 1:
			f = float64(int64(bits()) >> (bits() % 64))
		case 2:
			f = float64(int32(bits())) / math.Pow(10, float64(bits()%12))
		case 3:
			f = math.Ldexp(float64(bits()%1000), int(bits()%80)-40)
		}
		numbers = append(numbers, string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))))
	}
	return numbers
}
