package lua

import (
	"math"
	"math/bits"

	glua "github.com/yuin/gopher-lua"
)

// openBit makes the library of Lua BitOp 1.0.2: operations on 32 bits, whose
// results are signed.
func (r *Runtime) openBit() {
	unary := func(f func(uint32) uint32) glua.LGFunction {
		return func(L *glua.LState) int {
			L.Push(boxInt(int64(int32(f(r.checkBits(L, 1))))))
			return 1
		}
	}
	fold := func(f func(a, b uint32) uint32) glua.LGFunction {
		return func(L *glua.LState) int {
			v := r.checkBits(L, 1)
			for i := 2; i <= L.GetTop(); i++ {
				v = f(v, r.checkBits(L, i))
			}
			L.Push(boxInt(int64(int32(v))))
			return 1
		}
	}
	shift := func(f func(v uint32, n int) uint32) glua.LGFunction {
		return func(L *glua.LState) int {
			v := r.checkBits(L, 1)
			L.Push(boxInt(int64(int32(f(v, int(r.checkBits(L, 2)&31))))))
			return 1
		}
	}
	r.library("bit", map[string]glua.LGFunction{
		"tobit":   unary(func(v uint32) uint32 { return v }),
		"bnot":    unary(func(v uint32) uint32 { return ^v }),
		"bswap":   unary(bits.ReverseBytes32),
		"band":    fold(func(a, b uint32) uint32 { return a & b }),
		"bor":     fold(func(a, b uint32) uint32 { return a | b }),
		"bxor":    fold(func(a, b uint32) uint32 { return a ^ b }),
		"lshift":  shift(func(v uint32, n int) uint32 { return v << n }),
		"rshift":  shift(func(v uint32, n int) uint32 { return v >> n }),
		"arshift": shift(func(v uint32, n int) uint32 { return uint32(int32(v) >> n) }),
		"rol":     shift(bits.RotateLeft32),
		"ror":     shift(func(v uint32, n int) uint32 { return bits.RotateLeft32(v, -n) }),
		"tohex":   r.bitToHex,
	})
}

// checkBits reads an argument the way BitOp does: adding 2^52+2^51 rounds to
// the nearest integer and leaves it in the low bits.
func (r *Runtime) checkBits(L *glua.LState, n int) uint32 {
	return uint32(math.Float64bits(r.checkNumber(L, n) + 6755399441055744.0))
}

func (r *Runtime) bitToHex(L *glua.LState) int {
	v := r.checkBits(L, 1)
	n := int32(8)
	if L.GetTop() >= 2 {
		n = int32(r.checkBits(L, 2))
	}
	digits := "0123456789abcdef"
	if n < 0 {
		n, digits = -n, "0123456789ABCDEF"
	}
	if n > 8 || n < 0 {
		n = 8
	}
	var text [8]byte
	for i := n - 1; i >= 0; i-- {
		text[i] = digits[v&15]
		v >>= 4
	}
	L.Push(glua.LString(text[:n]))
	return 1
}
