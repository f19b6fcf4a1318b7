package lua_test

import (
	"context"
	"strconv"
	"testing"

	"limpet/internal/lua"
	"limpet/resp"
)

// memory is a store of strings and hashes, enough for scripts to talk to.
type memory struct {
	strings map[string]string
	hashes  map[string]map[string]string
	reply   []byte
}

func newMemory() *memory {
	return &memory{strings: map[string]string{}, hashes: map[string]map[string]string{}}
}

func (m *memory) call(args [][]byte, _ int) []byte {
	w := resp.Writer{Buf: m.reply[:0], Proto: 2}
	switch string(args[0]) {
	case "get":
		if v, ok := m.strings[string(args[1])]; ok {
			w.BulkString(v)
		} else {
			w.Null()
		}
	case "set":
		m.strings[string(args[1])] = string(args[2])
		w.OK()
	case "incr":
		n, _ := strconv.Atoi(m.strings[string(args[1])])
		m.strings[string(args[1])] = strconv.Itoa(n + 1)
		w.Int(int64(n + 1))
	case "hset":
		h := m.hashes[string(args[1])]
		if h == nil {
			h = map[string]string{}
			m.hashes[string(args[1])] = h
		}
		h[string(args[2])] = string(args[3])
		w.Int(1)
	case "hget":
		if v, ok := m.hashes[string(args[1])][string(args[2])]; ok {
			w.BulkString(v)
		} else {
			w.Null()
		}
	case "error":
		w.Error("ERR asked for")
	default:
		w.Error(lua.ErrUnknownCommand)
	}
	m.reply = w.Buf
	return w.Buf
}

func benchmark(b *testing.B, script string, opts lua.RunOptions, argv ...string) {
	b.Helper()
	m := newMemory()
	m.strings["key"] = "value"
	m.hashes["h"] = map[string]string{}
	for i := range 100 {
		m.hashes["h"]["field"+strconv.Itoa(i)] = "value" + strconv.Itoa(i)
	}
	r := lua.New()
	sha, err := r.Load([]byte(script))
	if err != nil {
		b.Fatal(err)
	}
	args := make([][]byte, len(argv))
	for i, a := range argv {
		args[i] = []byte(a)
	}
	keys := [][]byte{[]byte("key"), []byte("h")}
	var out resp.Writer
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		r.Run(sha, keys, args, m.call, &out, opts)
		if out.Buf[0] == '-' {
			b.Fatalf("%s", out.Buf)
		}
	}
}

const (
	oneGet     = `return redis.call('get', KEYS[1])`
	hundredGet = `
local n = 0
for i = 0, 99 do
  local v = redis.call('hget', KEYS[2], 'field' .. i)
  if v then n = n + 1 end
end
return n`
	tables = `
local seen, list = {}, {}
for i = 1, 200 do
  local key = 'page:' .. i
  if not seen[key] then
    seen[key] = {depth = i % 5, url = key}
    list[#list + 1] = key
  end
end
table.sort(list)
local out = {}
for i, key in ipairs(list) do
  if seen[key].depth < 3 then out[#out + 1] = key end
end
return cjson.encode(out)`
	arithmetic = `local x = 0 for i = 1, 10000 do x = x + i % 7 end return x`
)

func BenchmarkRun_OneGet(b *testing.B)       { benchmark(b, oneGet, lua.RunOptions{}) }
func BenchmarkRun_HundredHGets(b *testing.B) { benchmark(b, hundredGet, lua.RunOptions{}) }
func BenchmarkRun_Tables(b *testing.B)       { benchmark(b, tables, lua.RunOptions{}) }
func BenchmarkRun_Arithmetic(b *testing.B)   { benchmark(b, arithmetic, lua.RunOptions{}) }

// The same, able to be interrupted.
func interruptible(b *testing.B) lua.RunOptions {
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	return lua.RunOptions{Context: ctx}
}

func BenchmarkRunInterruptible_OneGet(b *testing.B) { benchmark(b, oneGet, interruptible(b)) }
func BenchmarkRunInterruptible_HundredHGets(b *testing.B) {
	benchmark(b, hundredGet, interruptible(b))
}
func BenchmarkRunInterruptible_Tables(b *testing.B)     { benchmark(b, tables, interruptible(b)) }
func BenchmarkRunInterruptible_Arithmetic(b *testing.B) { benchmark(b, arithmetic, interruptible(b)) }
