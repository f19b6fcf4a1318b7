package crc

import "encoding/binary"

// poly is the polynomial with its bits reversed, since the sum is shifted right.
const poly = 0x95ac9329ac4bc9b5

// tables[0] is the classic table: the sum of one byte. tables[k] is that of a
// byte with k zero bytes behind it, so that eight bytes can be looked up
// independently of each other and joined (Intel's "slicing by 8").
var tables = func() (t [8][256]uint64) {
	for i := range t[0] {
		sum := uint64(i)
		for range 8 {
			if sum&1 != 0 {
				sum = sum>>1 ^ poly
			} else {
				sum >>= 1
			}
		}
		t[0][i] = sum
	}
	for k := 1; k < len(t); k++ {
		for i, sum := range t[k-1] {
			t[k][i] = sum>>8 ^ t[0][byte(sum)]
		}
	}
	return t
}()

// Update is the checksum of the bytes summed up in sum with b behind them. The
// checksum of nothing is 0.
func Update(sum uint64, b []byte) uint64 {
	for len(b) >= 8 {
		sum ^= binary.LittleEndian.Uint64(b)
		sum = tables[7][byte(sum)] ^
			tables[6][byte(sum>>8)] ^
			tables[5][byte(sum>>16)] ^
			tables[4][byte(sum>>24)] ^
			tables[3][byte(sum>>32)] ^
			tables[2][byte(sum>>40)] ^
			tables[1][byte(sum>>48)] ^
			tables[0][byte(sum>>56)]
		b = b[8:]
	}
	for _, c := range b {
		sum = sum>>8 ^ tables[0][byte(sum)^c]
	}
	return sum
}
