package keyspace

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"limpet/internal/hash"
	"limpet/internal/list"
	"limpet/internal/modeltest"
	"limpet/internal/set"
	"limpet/internal/zset"
	"limpet/rdb"
)

var packing = Packing{
	Hash: hash.Limits{MaxEntries: 8, MaxValue: 16},
	Set:  set.Limits{MaxIntset: 8},
	ZSet: zset.Limits{MaxEntries: 8, MaxValue: 16},
}

func TestNewString_CanonicalIntegersAreNumbers_AllElseStaysBytes(t *testing.T) {
	for _, s := range []string{"0", "-1", "9223372036854775807", "-9223372036854775808"} {
		if _, ok := NewString([]byte(s)).(Int); !ok {
			t.Errorf("%q is not kept as a number", s)
		}
	}
	for _, s := range []string{"", "00", "+1", "-0", "1 ", "9223372036854775808", "1.0", "x"} {
		if b, ok := NewString([]byte(s)).(Bytes); !ok || string(b) != s {
			t.Errorf("%q became %v", s, b)
		}
	}
}

func TestAppendBytes_LeavesTheOldStringAsItWas(t *testing.T) {
	old := NewString([]byte("abc"))
	longer := AppendBytes(AppendBytes(old, []byte("def")), []byte("ghi"))
	if string(old.(Bytes)) != "abc" || string(longer.(Bytes)) != "abcdefghi" {
		t.Errorf("%q and %q", old, longer)
	}
	if n := AppendBytes(Int(12), []byte("3")).(Bytes); string(n) != "123" {
		t.Errorf("appended to a number: %q", n)
	}
}

// A read depends on the newest change to its key or one near it, whether the key
// is there or not.
func TestStamps_AReadNeverSeesAnOlderOneThanItsKeys(t *testing.T) {
	rng := modeltest.Rand(t)
	ks := New(1)
	db := ks.DB(0)
	changed := map[string]uint64{} // newest unit that changed a key
	flushed := uint64(0)
	for range modeltest.Rounds(20000) {
		ks.Seq++
		key := []byte(strconv.Itoa(rng.IntN(500)))
		switch rng.IntN(10) {
		case 0, 1, 2:
			db.Touch(key)
			db.Delete(key)
		case 3:
			if rng.IntN(200) == 0 {
				db.Flush()
				flushed = ks.Seq
			}
			continue
		default:
			db.Put(key, Int(1))
			db.Touch(key)
		}
		changed[string(key)] = ks.Seq
		probe := strconv.Itoa(rng.IntN(500))
		if _, stamp, _ := db.View([]byte(probe)); stamp < max(changed[probe], flushed) {
			t.Fatalf("%s was changed by unit %d, flushed by %d, its stamp is %d", probe, changed[probe], flushed, stamp)
		}
	}
	if db.Newest() < slices.Max(slices.Collect(maps.Values(changed))) {
		t.Errorf("the newest of all is %d", db.Newest())
	}
}

func TestDeadlines_AgainstAModel(t *testing.T) {
	rng := modeltest.Rand(t)
	ks := New(2)
	want := [2]map[string]int64{{}, {}}
	now := int64(1000)
	for range modeltest.Rounds(20000) {
		i := rng.IntN(2)
		db, key := ks.DB(i), strconv.Itoa(rng.IntN(100))
		at := now + int64(rng.IntN(2000))
		switch rng.IntN(7) {
		case 0, 1:
			db.Put([]byte(key), Int(1)) // keeps a deadline
			if _, ok := want[i][key]; !ok {
				want[i][key] = 0
			}
		case 2, 3:
			db.SetDeadline([]byte(key), at)
			if _, ok := want[i][key]; ok {
				want[i][key] = at
			}
		case 4:
			db.SetDeadline([]byte(key), 0)
			if _, ok := want[i][key]; ok {
				want[i][key] = 0
			}
		case 5:
			db.Delete([]byte(key))
			delete(want[i], key)
		case 6:
			now += int64(rng.IntN(50))
			due := map[string]bool{}
			for {
				db, key, ok := ks.NextExpired(now)
				if !ok {
					break
				}
				due[fmt.Sprint(db.Index(), " ", string(key))] = true
				db.Delete(key)
			}
			for i := range want {
				for key, at := range want[i] {
					if at == 0 || at > now {
						continue
					}
					if name := fmt.Sprint(i, " ", key); !due[name] {
						t.Fatalf("%s is due at %d and was not found at %d", name, at, now)
					} else {
						delete(due, name)
					}
					delete(want[i], key)
				}
			}
			if len(due) > 0 {
				t.Fatalf("at %d these were not due: %v", now, due)
			}
		}
		volatile := 0
		for _, at := range want[i] {
			if at != 0 {
				volatile++
			}
		}
		if db.Volatile() != volatile || db.Len() != len(want[i]) {
			t.Fatalf("%d keys, %d with a deadline; want %d and %d", db.Len(), db.Volatile(), len(want[i]), volatile)
		}
		if n := len(db.deadlines.items); n > 2*volatile+sweepSlack+1 {
			t.Fatalf("%d items for %d deadlines: what is stale is never swept", n, volatile)
		}
	}
}

func TestSnapshot_SeesEachKeyOnceAsItWasAtTheCut(t *testing.T) {
	rng := modeltest.Rand(t)
	ks := New(3)
	name := func(db int, key string) string { return fmt.Sprint(db, " ", key) }
	change := func() {
		db, key := ks.DB(rng.IntN(3)), []byte(strconv.Itoa(rng.IntN(4000)))
		switch rng.IntN(9) {
		case 0, 1:
			db.Delete(key)
		case 2: // in place
			if o, _, ok := db.Edit(key); ok {
				if l, ok := o.Object.(*list.List); ok {
					l.PushBack([]byte("more"), list.LimitsOf(-2))
				}
			}
		case 3:
			db.Put(key, list.New())
			o, _, _ := db.Edit(key)
			o.Object.(*list.List).PushBack(key, list.LimitsOf(-2))
		case 4:
			db.SetDeadline(key, int64(rng.IntN(1000)))
		case 5:
			if rng.IntN(3000) == 0 {
				db.Flush()
			}
		case 6: // in place, often
			db.SetText(key, strconv.AppendInt([]byte("text"), int64(rng.IntN(1000)), 10), int64(rng.IntN(2)*rng.IntN(1000)))
		default:
			db.Put(key, NewString([]byte(strconv.Itoa(rng.IntN(1000)))))
		}
	}
	picture := func(e Entry) string {
		if l, ok := e.Object.(*list.List); ok {
			return fmt.Sprint("list of ", l.Len(), " until ", e.Deadline)
		}
		return fmt.Sprintf("%q until %d", textOf(e.Object), e.Deadline)
	}
	for range modeltest.Rounds(20) {
		for range 6000 {
			change()
		}
		want := map[string]string{}
		for i := range 3 {
			for key, e := range ks.DB(i).All() {
				want[name(i, key)] = picture(e)
			}
		}
		got := map[string]string{}
		snap := ks.BeginSnapshot(func(db int, key string, e Entry) {
			if _, twice := got[name(db, key)]; twice {
				t.Fatalf("%s was seen twice", name(db, key))
			}
			got[name(db, key)] = picture(e)
		})
		if snap.Keys() != len(want) {
			t.Fatalf("%d keys announced, there are %d", snap.Keys(), len(want))
		}
		sizes := 0
		snap.DBSizes(func(_, keys, _ int) { sizes += keys })
		if sizes != len(want) {
			t.Fatalf("databases of %d keys announced", sizes)
		}
		for done := false; !done; {
			for range rng.IntN(30) {
				change()
			}
			done = snap.Step(func() bool { return rng.IntN(4) == 0 })
		}
		snap.End()
		if !maps.Equal(got, want) {
			t.Fatalf("%d keys seen, %d at the cut, and not the same", len(got), len(want))
		}
	}
}

func textOf(o Object) string { return string(ToRDB(o).(rdb.Packed).Data) }

// A string is overwritten where it lies when the new one fits there exactly.
func TestSetText_OverEachForm_IsTheNewString(t *testing.T) {
	texts := []string{"", "7", "8", "-9223372036854775808", "one", "two", "three", strings.Repeat("x", maxPacked), strings.Repeat("y", maxPacked+1)}
	for _, was := range texts {
		for _, is := range texts {
			for _, deadlines := range [][2]int64{{0, 0}, {0, 5}, {5, 0}, {5, 6}} {
				ks := New(1)
				db := ks.DB(0)
				db.SetText([]byte("key"), []byte(was), deadlines[0])
				if db.SetText([]byte("key"), []byte(is), deadlines[1]) {
					t.Error("an old key is new")
				}
				e, _, ok := db.Edit([]byte("key"))
				if !ok {
					t.Fatalf("%q over %q: the key is gone", is, was)
				}
				if text := textOf(e.Object); text != is || e.Deadline != deadlines[1] {
					t.Errorf("%q over %q, %v: %q until %d", is, was, deadlines, text, e.Deadline)
				}
				if want := min(deadlines[1], 1); int64(db.Volatile()) != want {
					t.Errorf("%v: %d keys with a deadline", deadlines, db.Volatile())
				}
			}
		}
	}
	ks := New(1)
	key, text := []byte("key"), []byte("value-000000001")
	ks.DB(0).SetText(key, text, 0)
	if n := testing.AllocsPerRun(100, func() { text[10]++; ks.DB(0).SetText(key, text, 0) }); n != 0 {
		t.Errorf("%v allocations to overwrite a string with one as long", n)
	}
}

func TestToAndFromRDB_EveryType_ComesBackTheSame(t *testing.T) {
	for _, n := range []int{1, 5, 300} { // packed, packed, not
		h, s, ints, z, l := hash.New(), set.New(), set.New(), zset.New(), list.New()
		for i := range n {
			text := []byte("value " + strconv.Itoa(i))
			h.Set(text, []byte(strings.Repeat("v", i)), packing.Hash)
			s.Add(text, packing.Set)
			ints.Add([]byte(strconv.Itoa(i*i)), packing.Set)
			z.Add(text, float64(i)/3, packing.ZSet)
			l.PushBack(text, list.LimitsOf(-2))
		}
		for _, o := range []Object{Int(n), Bytes(strings.Repeat("x", n)), h, s, ints, z, l} {
			before := throughRDB(t, o, false)
			object, err := FromRDB(throughRDB(t, o, true), packing)
			if err != nil {
				t.Fatalf("%s of %d: %v", TypeName(o), n, err)
			}
			if TypeName(object) != TypeName(o) {
				t.Errorf("a %s came back as a %s", TypeName(o), TypeName(object))
			}
			if after := throughRDB(t, object, false); plain(before) != plain(after) {
				t.Errorf("%s of %d: %.200s, was %.200s", TypeName(o), n, plain(after), plain(before))
			}
		}
	}
}

// throughRDB writes a value into an RDB and reads it, packed as it was or plain.
func throughRDB(t *testing.T, o Object, packed bool) rdb.Value {
	t.Helper()
	var b strings.Builder
	e := rdb.NewEncoder(&b, rdb.EncoderOptions{})
	if err := errors.Join(e.Entry(rdb.Entry{Key: []byte("k"), Value: ToRDB(o)}), e.Close()); err != nil {
		t.Fatal(err)
	}
	entry, err := rdb.NewDecoder(strings.NewReader(b.String()), rdb.DecoderOptions{KeepPacked: packed}).Next()
	if err != nil {
		t.Fatal(err)
	}
	return entry.Value
}

func plain(v rdb.Value) string {
	switch v := v.(type) {
	case rdb.Hash:
		slices.SortFunc(v, func(a, b rdb.Field) int { return strings.Compare(string(a.Name), string(b.Name)) })
	case rdb.Set:
		slices.SortFunc(v, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
	}
	return fmt.Sprintf("%T %q", v, v)
}

func TestFromRDB_WhatCannotBeKept_IsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		value rdb.Value
		want  error
	}{
		"a field with a deadline": {rdb.Hash{{Name: []byte("f"), Value: []byte("v"), ExpireAtMs: 1}}, rdb.ErrUnsupported},
		"a field twice":           {rdb.Hash{{Name: []byte("f")}, {Name: []byte("f")}}, rdb.ErrCorrupt},
		"a member twice":          {rdb.Set{[]byte("m"), []byte("m")}, rdb.ErrCorrupt},
		"a scored member twice":   {rdb.ZSet{{Name: []byte("m")}, {Name: []byte("m")}}, rdb.ErrCorrupt},
		"a module's value":        {rdb.Module{}, rdb.ErrUnsupported},
	} {
		if _, err := FromRDB(c.value, packing); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
