package rdb

import (
	"bytes"
	"testing"
)

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, smallEntries(), EncoderOptions{NoChecksum: true}))
	f.Add(encode(f, smallEntries(), EncoderOptions{NoChecksum: true, NoCompression: true}))
	for _, c := range append(oldCases(), laterCases()...) {
		f.Add(file(12, join([]byte{opExpireMs, 1, 2, 3, 4, 5, 6, 7, 8, c.typ, 1, 'k'}, c.body)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var counts [2]int
		for i, keep := range []bool{false, true} {
			es, err := decode(bytes.NewReader(b), DecoderOptions{KeepPacked: keep, NoChecksum: true, MaxString: 1 << 24})
			if counts[i] = len(es); err != nil {
				continue
			}
			if counts[0] != counts[i] {
				t.Errorf("%d entries, packed %d", counts[0], counts[1])
			}
		}
	})
}

// FuzzDecodeValue takes a type and a body, and puts the right checksum to them.
func FuzzDecodeValue(f *testing.F) {
	for _, c := range append(oldCases(), laterCases()...) {
		f.Add(c.typ, c.body)
	}
	for _, e := range smallEntries() {
		b := must(EncodeValue(e.Value))
		f.Add(b[0], b[1:len(b)-footerSize])
	}
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		useValue(t, payload(12, typ, body))
	})
}
