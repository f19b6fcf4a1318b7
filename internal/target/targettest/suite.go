package targettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/target"
)

// Run holds a kind of target to the behaviour that all have in common. open
// opens a new empty one; again opens what open has opened last, once more.
func Run(t *testing.T, open func(t *testing.T) (s, again *target.Store)) {
	for _, claim := range []struct {
		name string
		run  func(t *testing.T, s, again *target.Store)
	}{
		{"Put_IsReadByAnother_ReplacesWhole", putReplaces},
		{"Put_EverySize_ComesBackEqual", everySize},
		{"Put_ReaderFails_NothingChanges", readerFails},
		{"Put_Cancelled_NothingChanges", putCancelled},
		{"Create_OfManyAtOnce_OneWins", createOnce},
		{"Get_Missing_IsNotFound", missing},
		{"GetRange_GivesExactlyThat_OrFails", ranges},
		{"List_IsSorted_ByPrefix_WithSizes", list},
		{"Delete_Twice_IsNoError", deleteTwice},
		{"Key_OddOnes_AreRefused", oddKeys},
	} {
		t.Run(claim.name, func(t *testing.T) {
			s, again := open(t)
			claim.run(t, s, again)
		})
	}
}

var ctx = context.Background()

func put(t *testing.T, s *target.Store, key, text string) {
	t.Helper()
	if err := s.Put(ctx, key, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *target.Store, key string) string {
	t.Helper()
	r, err := s.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func keys(t *testing.T, s *target.Store, prefix string) (keys []string) {
	t.Helper()
	objects, err := s.List(ctx, prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		keys = append(keys, fmt.Sprint(o.Key, " ", o.Size))
		if o.ModTime.IsZero() {
			t.Errorf("%s: no time", o.Key)
		}
	}
	return keys
}

func putReplaces(t *testing.T, s, again *target.Store) {
	put(t, s, "a/b/c.json", "first, and longer")
	put(t, s, "a/b/c.json", "second")
	if got := get(t, again, "a/b/c.json"); got != "second" {
		t.Errorf("%q", got)
	}
}

// everySize has sizes around those at which buckets upload in several parts.
func everySize(t *testing.T, s, again *target.Store) {
	for _, size := range []int{0, 1, 4095, 5<<20 - 1, 5 << 20, 5<<20 + 1, 17 << 20} {
		want := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(want)
		// Not a reader that knows its length or can seek.
		if err := s.Put(ctx, "big", io.MultiReader(bytes.NewReader(want))); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if got := get(t, again, "big"); got != string(want) {
			t.Fatalf("%d bytes: %d bytes came back, or others", size, len(got))
		}
	}
}

var errReader = errors.New("the source has failed")

func readerFails(t *testing.T, s, again *target.Store) {
	put(t, s, "old", "old")
	for _, size := range []int64{0, 10, 6 << 20} {
		failing := io.MultiReader(io.LimitReader(zeros{}, size), iotest.ErrReader(errReader))
		if err := s.Put(ctx, "old", failing); !errors.Is(err, errReader) {
			t.Errorf("Put after %d bytes: %v", size, err)
		}
		failing = io.MultiReader(io.LimitReader(zeros{}, size), iotest.ErrReader(errReader))
		if err := s.Create(ctx, "new", failing); !errors.Is(err, errReader) {
			t.Errorf("Create after %d bytes: %v", size, err)
		}
	}
	if diff := cmp.Diff([]string{"old 3"}, keys(t, again, "")); diff != "" {
		t.Error(diff)
	}
	if err := s.Create(ctx, "new", strings.NewReader("")); err != nil {
		t.Errorf("the key is not free: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func putCancelled(t *testing.T, s, again *target.Store) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	source := io.MultiReader(io.LimitReader(zeros{}, 6<<20), &calls{cancel}, io.LimitReader(zeros{}, 1<<30))
	if err := s.Put(ctx, "k", source); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := keys(t, again, ""); len(got) != 0 {
		t.Errorf("there are %v", got)
	}
}

// calls is a reader of nothing that calls a function.
type calls struct{ f func() }

func (c *calls) Read([]byte) (int, error) { c.f(); return 0, io.EOF }

func createOnce(t *testing.T, s, again *target.Store) {
	for round := range 5 {
		key := fmt.Sprintf("lease/%d", round)
		winners := make(chan string, 8)
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				text := strings.Repeat(fmt.Sprint(i), 1000)
				switch err := s.Create(ctx, key, strings.NewReader(text)); {
				case err == nil:
					winners <- text
				case !errors.Is(err, target.ErrExists):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(winners) != 1 {
			t.Fatalf("%d of 8 have created %s", len(winners), key)
		}
		if got, want := get(t, again, key), <-winners; got != want {
			t.Errorf("%s holds what no winner wrote", key)
		}
	}
	err := s.Create(ctx, "lease/0", io.MultiReader(io.LimitReader(zeros{}, 12<<20)))
	if !errors.Is(err, target.ErrExists) {
		t.Errorf("a large one: %v", err)
	}
}

func missing(t *testing.T, s, _ *target.Store) {
	put(t, s, "a/b", "")
	for _, key := range []string{"b", "a", "a/b/c"} {
		if _, err := s.Get(ctx, key); !errors.Is(err, target.ErrNotFound) {
			t.Errorf("Get %s: %v", key, err)
		}
		if _, err := s.GetRange(ctx, key, 0, 1); !errors.Is(err, target.ErrNotFound) {
			t.Errorf("GetRange %s: %v", key, err)
		}
	}
}

func ranges(t *testing.T, s, _ *target.Store) {
	put(t, s, "k", "0123456789")
	for _, row := range []struct {
		offset, length int64
		want           string
		fails          bool
	}{
		{0, 10, "0123456789", false},
		{3, 4, "3456", false},
		{9, 1, "9", false},
		{4, 0, "", false},
		{8, 3, "", true},
		{10, 1, "", true},
		{11, 1, "", true},
		{-1, 1, "", true},
		{1, -1, "", true},
	} {
		var got []byte
		r, err := s.GetRange(ctx, "k", row.offset, row.length)
		if err == nil {
			got, err = io.ReadAll(r)
			err = errors.Join(err, r.Close())
		}
		if row.fails != (err != nil) || !row.fails && string(got) != row.want {
			t.Errorf("%d bytes at %d: %q, %v", row.length, row.offset, got, err)
		}
	}
}

func list(t *testing.T, s, again *target.Store) {
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("a new target has %v", got)
	}
	// By bytes: "a-" before "a/" before "a0", whatever directories come in between.
	want := []string{"a-x 1", "a/b 2", "a/b-c/d 3", "a/b0 4", "a0 5", "z 6"}
	for _, entry := range rand.New(rand.NewPCG(1, 2)).Perm(len(want)) {
		key, _, _ := strings.Cut(want[entry], " ")
		put(t, s, key, strings.Repeat("x", entry+1))
	}
	for prefix, want := range map[string][]string{
		"":       want,
		"a":      want[:5],
		"a/":     want[1:4],
		"a/b":    want[1:4],
		"a/b-":   want[2:3],
		"a/b-c/": want[2:3],
		"zz":     nil,
		"q/r/s":  nil,
		"z/":     nil,
	} {
		if diff := cmp.Diff(want, keys(t, again, prefix)); diff != "" {
			t.Errorf("prefix %q: %s", prefix, diff)
		}
	}
}

func deleteTwice(t *testing.T, s, again *target.Store) {
	put(t, s, "a/b/c", "")
	put(t, s, "a/d", "")
	for range 2 {
		if err := s.Delete(ctx, "a/b/c"); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"a/d 0"}, keys(t, again, "")); diff != "" {
		t.Error(diff)
	}
	put(t, s, "a/b/c", "again")
	if got := get(t, again, "a/b/c"); got != "again" {
		t.Errorf("%q", got)
	}
}

func oddKeys(t *testing.T, s, _ *target.Store) {
	for _, key := range []string{"", "/a", "a/", "a//b", ".", "../a", "a/../b", ".partial/x", "a b", "a\\b", "ä", "a\x00", "a:b", strings.Repeat("x", 201)} {
		if err := s.Put(ctx, key, strings.NewReader("")); !errors.Is(err, target.ErrKey) {
			t.Errorf("Put %q: %v", key, err)
		}
		if _, err := s.Get(ctx, key); !errors.Is(err, target.ErrKey) {
			t.Errorf("Get %q: %v", key, err)
		}
		if err := s.Delete(ctx, key); !errors.Is(err, target.ErrKey) {
			t.Errorf("Delete %q: %v", key, err)
		}
	}
}
