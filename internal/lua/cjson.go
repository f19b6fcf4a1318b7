package lua

import (
	"math"
	"strconv"

	glua "github.com/yuin/gopher-lua"
)

// openCJSON makes the library of lua-cjson 2.1.0 as Redis ships it. Encoding is
// here and decoding in cjsondecode.go.
func (r *Runtime) openCJSON() {
	t := r.library("cjson", nil)
	r.fillCJSON(t, &r.json)
}

// null stands for JSON's null in Lua tables; in Redis it is a null pointer.
var null = &glua.LUserData{Metatable: glua.LNil}

// jsonSettings are what the functions of a cjson table can change.
type jsonSettings struct {
	sparseConvert bool // encode an excessively sparse array as an object
	sparseRatio   int
	sparseSafe    int
	encodeDepth   int
	decodeDepth   int
	precision     int
	encodeInvalid invalidNumbers
	decodeInvalid bool
	keepBuffer    bool
}

// invalidNumbers says what to do with NaN and infinities.
type invalidNumbers int

const (
	invalidRefused invalidNumbers = iota
	invalidAllowed
	invalidNull
)

var defaultJSON = jsonSettings{
	sparseRatio:   2,
	sparseSafe:    10,
	encodeDepth:   1000,
	decodeDepth:   1000,
	precision:     14,
	decodeInvalid: true,
	keepBuffer:    true,
}

// fillCJSON puts the functions of a cjson table into t; they work by the
// settings at set.
func (r *Runtime) fillCJSON(t *glua.LTable, set *jsonSettings) {
	j := cjson{r, set}
	one := func(configure glua.LGFunction) glua.LGFunction {
		return func(L *glua.LState) int {
			j.atMost(L, 1)
			return configure(L)
		}
	}
	for name, fn := range map[string]glua.LGFunction{
		"encode":                  j.encode,
		"decode":                  j.decode,
		"encode_sparse_array":     j.configureSparse,
		"encode_max_depth":        one(func(L *glua.LState) int { return j.integer(L, 1, &set.encodeDepth, 1, math.MaxInt32) }),
		"decode_max_depth":        one(func(L *glua.LState) int { return j.integer(L, 1, &set.decodeDepth, 1, math.MaxInt32) }),
		"encode_number_precision": one(func(L *glua.LState) int { return j.integer(L, 1, &set.precision, 1, 14) }),
		"encode_keep_buffer":      one(func(L *glua.LState) int { return j.boolean(L, 1, &set.keepBuffer) }),
		"encode_invalid_numbers":  one(j.configureEncodeInvalid),
		"decode_invalid_numbers":  one(func(L *glua.LState) int { return j.boolean(L, 1, &set.decodeInvalid) }),
		"new": func(L *glua.LState) int {
			fresh, settings := newTable(0, 16), defaultJSON
			r.fillCJSON(fresh, &settings)
			L.Push(fresh)
			return 1
		},
	} {
		t.RawSetString(name, r.state.NewFunction(fn))
	}
	t.RawSetString("null", null)
	t.RawSetString("_NAME", glua.LString("cjson"))
	t.RawSetString("_VERSION", glua.LString("2.1.0"))
}

// cjson is one cjson table: its functions and their settings.
type cjson struct {
	r   *Runtime
	set *jsonSettings
}

// atMost refuses more than n arguments.
func (j cjson) atMost(L *glua.LState, n int) {
	if L.GetTop() > n {
		j.r.argError(L, n+1, "found too many arguments")
	}
}

// integer sets a number within bounds to the n-th argument, unless that is nil,
// and pushes it.
func (j cjson) integer(L *glua.LState, n int, v *int, low, high int) int {
	if L.Get(n) != glua.LNil {
		given := j.r.checkInt(L, n)
		if given < int64(low) || given > int64(high) {
			j.r.argError(L, n, "expected integer between "+strconv.Itoa(low)+" and "+strconv.Itoa(high))
		}
		*v = int(given)
	}
	L.Push(glua.LNumber(*v))
	return 1
}

// boolean does the same for a truth value, also spelled "on" and "off".
func (j cjson) boolean(L *glua.LState, n int, v *bool) int {
	switch given := L.Get(n).(type) {
	case *glua.LNilType:
	case glua.LBool:
		*v = bool(given)
	default:
		*v = j.option(L, n, "off", "on") == 1
	}
	L.Push(glua.LBool(*v))
	return 1
}

// option is the index of the argument among the words allowed.
func (j cjson) option(L *glua.LState, n int, words ...string) int {
	given := j.r.checkString(L, n)
	for i, w := range words {
		if w == given {
			return i
		}
	}
	j.r.argError(L, n, "invalid option '"+given+"'")
	return 0
}

func (j cjson) configureEncodeInvalid(L *glua.LState) int {
	switch given := L.Get(1).(type) {
	case *glua.LNilType:
	case glua.LBool:
		j.set.encodeInvalid = invalidRefused
		if given {
			j.set.encodeInvalid = invalidAllowed
		}
	default:
		j.set.encodeInvalid = invalidNumbers(j.option(L, 1, "off", "on", "null"))
	}
	if j.set.encodeInvalid == invalidNull {
		L.Push(glua.LString("null"))
	} else {
		L.Push(glua.LBool(j.set.encodeInvalid == invalidAllowed))
	}
	return 1
}

func (j cjson) configureSparse(L *glua.LState) int {
	j.atMost(L, 3)
	L.SetTop(3)
	n := j.boolean(L, 1, &j.set.sparseConvert)
	n += j.integer(L, 2, &j.set.sparseRatio, 0, math.MaxInt32)
	n += j.integer(L, 3, &j.set.sparseSafe, 0, math.MaxInt32)
	return n
}

func (j cjson) encode(L *glua.LState) int {
	if L.GetTop() != 1 {
		j.r.argError(L, 1, "expected 1 argument")
	}
	e := jsonEncoder{cjson: j, L: L}
	e.value(L.Get(1), 0)
	L.Push(glua.LString(e.out))
	return 1
}

type jsonEncoder struct {
	cjson
	L   *glua.LState
	out []byte
}

func (e *jsonEncoder) value(v glua.LValue, depth int) {
	switch v := v.(type) {
	case glua.LString:
		e.string(string(v))
	case glua.LNumber:
		e.number(float64(v))
	case glua.LBool:
		e.out = strconv.AppendBool(e.out, bool(v))
	case *glua.LNilType:
		e.out = append(e.out, "null"...)
	case *glua.LTable:
		e.table(e.r.open(v), depth+1)
	case *glua.LUserData:
		if v != null {
			e.fail(v, "type not supported")
		}
		e.out = append(e.out, "null"...)
	default:
		e.fail(v, "type not supported")
	}
	e.r.checkLength(e.L, len(e.out))
}

func (e *jsonEncoder) fail(v glua.LValue, reason string) {
	e.r.fail(e.L, "Cannot serialise %s: %s", v.Type(), reason)
}

func (e *jsonEncoder) table(t *glua.LTable, depth int) {
	if depth > e.set.encodeDepth {
		e.r.fail(e.L, "Cannot serialise, excessive nesting (%d)", depth)
	}
	if n := e.arrayLength(t); n > 0 {
		e.out = append(e.out, '[')
		for i := 1; i <= n; i++ {
			if i > 1 {
				e.out = append(e.out, ',')
			}
			e.value(t.RawGet(glua.LNumber(i)), depth)
		}
		e.out = append(e.out, ']')
		return
	}
	e.out = append(e.out, '{')
	first := true
	each(t, func(key, value glua.LValue) {
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		switch key := key.(type) {
		case glua.LString:
			e.string(string(key))
		case glua.LNumber:
			e.out = append(e.out, '"')
			e.number(float64(key))
			e.out = append(e.out, '"')
		default:
			e.fail(key, "table key must be a number or string")
		}
		e.out = append(e.out, ':')
		e.value(value, depth)
	})
	e.out = append(e.out, '}')
}

// arrayLength is the highest key of a table whose keys are all positive
// integers, 0 for any other: those become objects, the empty one too.
func (e *jsonEncoder) arrayLength(t *glua.LTable) int {
	items, highest := 0, 0.0
	key, _ := t.Next(glua.LNil)
	for ; key != glua.LNil; key, _ = t.Next(key) {
		k, ok := key.(glua.LNumber)
		if !ok || k <= 0 || float64(k) != math.Floor(float64(k)) || k > math.MaxInt32 {
			return 0
		}
		highest = max(highest, float64(k))
		items++
	}
	if e.set.sparseRatio > 0 && highest > float64(items)*float64(e.set.sparseRatio) && highest > float64(e.set.sparseSafe) {
		if !e.set.sparseConvert {
			e.fail(t, "excessively sparse array")
		}
		return 0
	}
	return int(highest)
}

func (e *jsonEncoder) number(n float64) {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		switch e.set.encodeInvalid {
		case invalidRefused:
			e.fail(glua.LNumber(n), "must not be NaN or Inf")
		case invalidNull:
			e.out = append(e.out, "null"...)
			return
		}
		if math.IsNaN(n) {
			e.out = append(e.out, "nan"...)
			return
		}
	}
	if e.set.precision == 14 {
		e.out = appendNumber(e.out, n)
		return
	}
	e.out = appendG(e.out, n, e.set.precision)
}

// escapes are the JSON forms of the bytes that need one.
var escapes = func() (table [256]string) {
	const hex = "0123456789abcdef"
	for c := range 32 {
		table[c] = `\u00` + string([]byte{hex[c>>4], hex[c&15]})
	}
	table['\b'], table['\t'], table['\n'], table['\f'], table['\r'] = `\b`, `\t`, `\n`, `\f`, `\r`
	table['"'], table['\\'], table['/'], table[127] = `\"`, `\\`, `\/`, `\u007f`
	return table
}()

func (e *jsonEncoder) string(s string) {
	e.out = append(e.out, '"')
	begin := 0
	for i := range len(s) {
		if escape := escapes[s[i]]; escape != "" {
			e.out = append(append(e.out, s[begin:i]...), escape...)
			begin = i + 1
		}
	}
	e.out = append(append(e.out, s[begin:]...), '"')
}
