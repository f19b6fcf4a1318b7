package lua

import (
	"math"

	glua "github.com/yuin/gopher-lua"
)

// openMath makes Lua's mathematical library, its random numbers replaced by
// Redis's: one sequence, the same after every start, which goes on from script
// to script.
func (r *Runtime) openMath() {
	one := func(f func(float64) float64) glua.LGFunction {
		return func(L *glua.LState) int {
			L.Push(glua.LNumber(f(r.checkNumber(L, 1))))
			return 1
		}
	}
	two := func(f func(a, b float64) float64) glua.LGFunction {
		return func(L *glua.LState) int {
			L.Push(glua.LNumber(f(r.checkNumber(L, 1), r.checkNumber(L, 2))))
			return 1
		}
	}
	t := r.library("math", map[string]glua.LGFunction{
		"abs": one(math.Abs), "acos": one(math.Acos), "asin": one(math.Asin), "atan": one(math.Atan),
		"ceil": one(math.Ceil), "cos": one(math.Cos), "cosh": one(math.Cosh), "exp": one(math.Exp),
		"floor": one(math.Floor), "log": one(math.Log), "log10": one(math.Log10), "sin": one(math.Sin),
		"sinh": one(math.Sinh), "sqrt": one(math.Sqrt), "tan": one(math.Tan), "tanh": one(math.Tanh),
		"deg":   one(func(x float64) float64 { return x / (math.Pi / 180) }),
		"rad":   one(func(x float64) float64 { return x * (math.Pi / 180) }),
		"atan2": two(math.Atan2), "fmod": two(fmod), "mod": two(fmod), "pow": two(math.Pow),
		"ldexp":      two(func(x, e float64) float64 { return math.Ldexp(x, int(int32(toInt64(e)))) }),
		"frexp":      r.mathFrexp,
		"modf":       r.mathModf,
		"max":        r.mathMax,
		"min":        r.mathMin,
		"random":     r.mathRandom,
		"randomseed": r.mathRandomSeed,
	})
	t.RawSetString("pi", glua.LNumber(math.Pi))
	t.RawSetString("huge", glua.LNumber(math.Inf(1)))
}

// fmod is C's: a NaN that it makes has a sign on amd64.
func fmod(a, b float64) float64 {
	v := math.Mod(a, b)
	if math.IsNaN(v) && !math.IsNaN(a) && !math.IsNaN(b) {
		return math.Copysign(v, -1)
	}
	return v
}

func (r *Runtime) mathFrexp(L *glua.LState) int {
	f, e := math.Frexp(r.checkNumber(L, 1))
	L.Push(glua.LNumber(f))
	L.Push(glua.LNumber(e))
	return 2
}

func (r *Runtime) mathModf(L *glua.LState) int {
	x := r.checkNumber(L, 1)
	whole, part := math.Trunc(x), 0.0
	if !math.IsInf(x, 0) {
		part = x - whole
	}
	L.Push(glua.LNumber(whole))
	L.Push(glua.LNumber(math.Copysign(part, x)))
	return 2
}

func (r *Runtime) mathMax(L *glua.LState) int {
	best := r.checkNumber(L, 1)
	for i := 2; i <= L.GetTop(); i++ {
		if x := r.checkNumber(L, i); x > best {
			best = x
		}
	}
	L.Push(glua.LNumber(best))
	return 1
}

func (r *Runtime) mathMin(L *glua.LState) int {
	best := r.checkNumber(L, 1)
	for i := 2; i <= L.GetTop(); i++ {
		if x := r.checkNumber(L, i); x < best {
			best = x
		}
	}
	L.Push(glua.LNumber(best))
	return 1
}

func (r *Runtime) mathRandom(L *glua.LState) int {
	const randMax = math.MaxInt32
	x := float64(r.random.next()%randMax) / randMax
	switch L.GetTop() {
	case 0:
		L.Push(glua.LNumber(x))
	case 1:
		high := int32(r.checkInt(L, 1))
		if high < 1 {
			r.argError(L, 1, "interval is empty")
		}
		L.Push(glua.LNumber(math.Floor(x*float64(high)) + 1))
	case 2:
		low, high := int32(r.checkInt(L, 1)), int32(r.checkInt(L, 2))
		if low > high {
			r.argError(L, 2, "interval is empty")
		}
		L.Push(glua.LNumber(math.Floor(x*float64(high-low+1)) + float64(low)))
	default:
		r.fail(L, "wrong number of arguments")
	}
	return 1
}

func (r *Runtime) mathRandomSeed(L *glua.LState) int {
	r.random.seed(uint32(r.checkInt(L, 1)))
	return 0
}

// rand48 is the generator of POSIX's lrand48, which Redis has its own copy of so
// that a script draws the same numbers on every machine.
type rand48 uint64

// newRand48 is where Redis starts.
const newRand48 rand48 = 0x1234ABCD330E

func (g *rand48) seed(seed uint32) { *g = rand48(seed)<<16 | 0x330E }

// next is a number of 31 bits.
func (g *rand48) next() int32 {
	*g = (*g*0x5DEECE66D + 0xB) & (1<<48 - 1)
	return int32(*g >> 17)
}
