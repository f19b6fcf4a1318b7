package listpack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func of(vs ...string) List {
	l := New()
	for _, v := range vs {
		l = l.Append([]byte(v))
	}
	return l
}

func texts(l List) []string {
	var vs []string
	for off := l.First(); off >= 0; off = l.Next(off) {
		vs = append(vs, string(l.Get(off, nil)))
	}
	return vs
}

// The bytes were taken from DUMP on a redis-server 7.0.15.
func TestAppend_EachEncoding_IsRedisBytes(t *testing.T) {
	for _, c := range []struct{ v, entry string }{
		{"0", "00 01"},
		{"127", "7f 01"},
		{"128", "c0 80 02"},
		{"-1", "df ff 02"},
		{"4095", "cf ff 02"},
		{"-4096", "d0 00 02"},
		{"4096", "f1 00 10 03"},
		{"-32768", "f1 00 80 03"},
		{"32768", "f2 00 80 00 04"},
		{"-8388608", "f2 00 00 80 04"},
		{"8388608", "f3 00 00 80 00 05"},
		{"-2147483648", "f3 00 00 00 80 05"},
		{"2147483648", "f4 00 00 00 80 00 00 00 00 09"},
		{"-9223372036854775808", "f4 00 00 00 00 00 00 00 80 09"},
		{"", "80 01"},
		{"abc", "83 61 62 63 04"},
		{"007", "83 30 30 37 04"},
		{strings.Repeat("x", 64), "e0 40" + strings.Repeat("78", 64) + "42"},
		{strings.Repeat("x", 126), "e0 7e" + strings.Repeat("78", 126) + "01 80"},
		{strings.Repeat("x", 4096), "f0 00 10 00 00" + strings.Repeat("78", 4096) + "20 85"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(c.entry, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		l := of(c.v)
		if got := l[headerSize : len(l)-1]; !bytes.Equal(got, want) {
			t.Errorf("%.30q: got % x, want % x", c.v, got, want)
		}
		if got := texts(l); got[0] != c.v {
			t.Errorf("%.30q came back as %.30q", c.v, got[0])
		}
		if err := Validate(l); err != nil {
			t.Errorf("%.30q: %v", c.v, err)
		}
	}
}

func TestBacklen_AtEachLimit_IsReadBackwards(t *testing.T) {
	for _, size := range []int{127, 128, 16382, 16383, 16384, 2097150, 2097151, 2097152} {
		l := of("before", strings.Repeat("y", size-5), "after")
		mid := l.Prev(l.Last())
		if mid < 0 || l.Prev(mid) != l.First() || Validate(l) != nil {
			t.Errorf("entry of %d bytes: not found going backwards", size)
		}
	}
}

// The lengths are those of the same entries in a redis-server 7.0.15: from 16383
// on, one short of what two bytes could say, the backlen takes three.
func TestBacklen_Of16383_TakesThreeBytes(t *testing.T) {
	for size, want := range map[int]int{16382: 16382 + 2, 16383: 16383 + 3} {
		l := of(strings.Repeat("x", size-5))
		if got := l.Bytes() - headerSize - 1; got != want {
			t.Errorf("entry of %d bytes takes %d, want %d", size, got, want)
		}
	}
}

func TestValidate_WrongCount_IsRefused(t *testing.T) {
	l := of("a", "b", "c")
	for _, n := range []int{0, 2, 4, 65534} {
		if l.setCount(n); Validate(l) == nil {
			t.Errorf("3 entries pass for %d", n)
		}
	}
	if l.setCount(countUnknown); Validate(l) != nil || l.Len() != 3 {
		t.Error("a list may say that its count is not known")
	}
}

func TestParseInt_OnlyCanonicalDecimals(t *testing.T) {
	for _, n := range []int64{0, 1, -1, 9, 10, math.MaxInt64, math.MinInt64, math.MinInt64 + 1} {
		if got, ok := ParseInt(strconv.AppendInt(nil, n, 10)); !ok || got != n {
			t.Errorf("%d: got %d, %v", n, got, ok)
		}
	}
	for _, s := range []string{"", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1a", "9223372036854775808",
		"-9223372036854775809", "99999999999999999999", "18446744073709551616", "1.0", "0x1"} {
		if n, ok := ParseInt([]byte(s)); ok {
			t.Errorf("%q was taken for %d", s, n)
		}
	}
}

func TestLen_Beyond65534Entries_IsCounted(t *testing.T) {
	l := New()
	for range 65536 {
		l = l.Append([]byte("1"))
	}
	if l.Len() != 65536 || Validate(l) != nil {
		t.Fatalf("have %d entries, validation %v", l.Len(), Validate(l))
	}
	if l = l.Delete(l.First(), 65530); l.Len() != 6 || Validate(l) != nil {
		t.Fatalf("after deletion %d entries, validation %v", l.Len(), Validate(l))
	}
	if l.Seek(5) != l.Last() || l.Seek(6) != -1 || l.Seek(-6) != l.First() || l.Seek(-7) != -1 {
		t.Fatal("Seek does not find the ends of a list of unknown length")
	}
}

func TestFind_WithSkip_LooksAtNamesOnly(t *testing.T) {
	l := of("a", "b", "b", "7", "7", "c")
	if off := l.Find(l.First(), []byte("b"), 1); off != l.Seek(2) {
		t.Errorf("b found at %d, want %d", off, l.Seek(2))
	}
	if off := l.Find(l.First(), []byte("7"), 1); off != l.Seek(4) {
		t.Errorf("7 found at %d, want %d", off, l.Seek(4))
	}
	for _, v := range []string{"c", "07", "", "zz"} {
		if off := l.Find(l.First(), []byte(v), 1); off != -1 {
			t.Errorf("%q found at %d", v, off)
		}
	}
	if New().Find(New().First(), nil, 0) != -1 {
		t.Error("found something in an empty list")
	}
}

func TestAppend_WithinCapacity_DoesNotAllocate(t *testing.T) {
	l, v := Make(4096), []byte("some value")
	if n := testing.AllocsPerRun(100, func() {
		m := l.Append(v).AppendInt(5000)
		_ = m.Find(m.First(), v, 0)
		_ = m.Equal(m.Last(), []byte("5000"))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Any series of changes leaves the list equal to a slice of strings treated
// alike, and valid.
func TestList_RandomChanges_EqualAPlainSlice(t *testing.T) {
	value := rapid.OneOf(
		rapid.StringN(0, 10, 80),
		rapid.Map(rapid.Int64(), func(n int64) string { return strconv.FormatInt(n, 10) }),
		rapid.Map(rapid.IntRange(-5000, 5000), strconv.Itoa),
		rapid.Map(rapid.SampledFrom([]int{63, 64, 126, 127, 4095, 4096, 20000}), func(n int) string {
			return strings.Repeat("z", n)
		}),
	)
	rapid.Check(t, func(t *rapid.T) {
		l, model := New(), []string(nil)
		pick := func() int { return rapid.IntRange(0, len(model)-1).Draw(t, "index") }
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				v := value.Draw(t, "v")
				l, model = l.Append([]byte(v)), append(model, v)
			},
			"insert": func(t *rapid.T) {
				v := value.Draw(t, "v")
				i := rapid.IntRange(0, len(model)).Draw(t, "index")
				off := l.Seek(i)
				l, model = l.Insert(off, []byte(v)), slices.Insert(model, i, v)
				if !l.Equal(l.Seek(i), []byte(v)) {
					t.Fatalf("inserted %q at %d, have %q", v, i, l.Get(l.Seek(i), nil))
				}
			},
			"replace": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				i, v := pick(), value.Draw(t, "v")
				l = l.Replace(l.Seek(i), []byte(v))
				model[i] = v
			},
			"delete": func(t *rapid.T) {
				if len(model) == 0 {
					return
				}
				i, n := pick(), rapid.IntRange(0, 5).Draw(t, "count")
				l = l.Delete(l.Seek(i), n)
				model = slices.Delete(model, i, min(i+n, len(model)))
			},
			"": func(t *rapid.T) {
				if err := Validate(l); err != nil {
					t.Fatal(err)
				}
				if got := texts(l); !slices.Equal(got, model) || l.Len() != len(model) {
					t.Fatalf("got %q, want %q", got, model)
				}
				n := len(model)
				for off := l.Last(); off >= 0; off = l.Prev(off) {
					if n--; !l.Equal(off, []byte(model[n])) || l.Seek(n) != off || l.Seek(n-len(model)) != off {
						t.Fatalf("entry %d is not %q going backwards", n, model[n])
					}
				}
			},
		})
	})
}

func TestValidate_EveryFlippedBit_IsRefusedOrHarmless(t *testing.T) {
	l := of("name", "12", strings.Repeat("w", 200), "-70000", "", "9007199254740993", strings.Repeat("v", 5000))
	for i := range l {
		for bit := range 8 {
			b := bytes.Clone(l)
			b[i] ^= 1 << bit
			if Validate(b) == nil {
				texts(b)
			}
		}
	}
}

func TestValidate_EveryTruncation_IsRefused(t *testing.T) {
	l := of("name", "12", strings.Repeat("w", 70), "-70000", "")
	for n := range len(l) {
		cut := bytes.Clone(l[:n])
		if err := Validate(cut); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d of %d bytes: %v", n, len(l), err)
		}
		if n > headerSize { // also when the header tells the shorter length
			List(cut).setBytes()
			if cut[n-1] = terminator; Validate(cut) == nil && len(texts(cut)) == l.Len() {
				t.Errorf("%d of %d bytes still hold every entry", n, len(l))
			}
		}
	}
}

func FuzzListpackValidate(f *testing.F) {
	f.Add([]byte(New()))
	f.Add([]byte(of("a", "1", "-300", strings.Repeat("b", 100))))
	f.Add([]byte(of("70000", "-8388608", "2147483648", "", strings.Repeat("c", 5000))))
	f.Add([]byte{12, 0, 0, 0, 0xFF, 0xFF, 0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		if Validate(b) != nil {
			return
		}
		l := List(bytes.Clone(b))
		want := texts(l)
		var back []string
		for off := l.Last(); off >= 0; off = l.Prev(off) {
			back = append(back, string(l.Get(off, nil)))
		}
		slices.Reverse(back)
		if !slices.Equal(want, back) || l.Len() != len(want) {
			t.Fatalf("forwards %q, backwards %q, length %d", want, back, l.Len())
		}
		l = l.Insert(l.First(), []byte("12345")).Append([]byte("end"))
		l = l.Delete(l.Last(), 1).Delete(l.First(), 1)
		if err := Validate(l); err != nil || !slices.Equal(texts(l), want) {
			t.Fatalf("after coming and going: %q, %v; want %q", texts(l), err, want)
		}
	})
}

func BenchmarkFind_64Fields(b *testing.B) {
	l := New()
	for i := range 64 {
		l = l.Append([]byte("field:" + strconv.Itoa(i))).Append([]byte("value"))
	}
	name := []byte("field:63")
	b.ReportAllocs()
	for b.Loop() {
		if l.Find(l.First(), name, 1) < 0 {
			b.Fatal("not found")
		}
	}
}
