package backup

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"limpet/clock"
	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/vfs"
)

// backupsAt is a list of backups by their times; ! is behind those that are verified,
// ? behind those that were found bad.
func backupsAt(t *testing.T, times ...string) (all []Listed) {
	t.Helper()
	for _, text := range times {
		when, err := time.Parse("01-02 15:04", strings.TrimRight(text, "!?"))
		if err != nil {
			t.Fatal(err)
		}
		l := Listed{Entry: Entry{ID: text, Time: when.AddDate(2026, 0, 0)}}
		if mark := text[len(text)-1]; mark == '!' || mark == '?' {
			l.Proof = &Proof{OK: mark == '!'}
		}
		all = append(all, l)
	}
	return all
}

func TestPolicy_KeepsWhatItSays(t *testing.T) {
	for _, row := range []struct {
		policy Policy
		all    []string
		keeps  []string
	}{
		{Policy{Last: 2}, []string{"01-01 10:00", "01-01 11:00", "01-01 12:00!"}, []string{"01-01 11:00", "01-01 12:00!"}},
		{Policy{Last: 9}, []string{"01-01 10:00"}, []string{"01-01 10:00"}},
		{Policy{Hourly: 2}, []string{"01-01 10:00", "01-01 10:30", "01-01 12:00", "01-01 12:59!"}, []string{"01-01 10:30", "01-01 12:59!"}},
		{Policy{Daily: 2}, []string{"01-01 23:59", "01-02 00:00", "01-02 23:59", "01-09 00:00!"}, []string{"01-02 23:59", "01-09 00:00!"}},
		{Policy{Weekly: 2}, []string{"01-04 10:00", "01-05 10:00", "01-11 10:00", "01-12 10:00!"}, []string{"01-11 10:00", "01-12 10:00!"}}, // 5 and 12 are Mondays
		{Policy{Monthly: 2}, []string{"01-01 10:00", "01-31 10:00", "03-01 10:00!"}, []string{"01-31 10:00", "03-01 10:00!"}},
		{Policy{Last: 1, Daily: 2}, []string{"01-01 10:00", "01-02 10:00", "01-02 11:00!"}, []string{"01-01 10:00", "01-02 11:00!"}},
		{Policy{Last: 1}, []string{"01-01 10:00!", "01-02 10:00!", "01-03 10:00"}, []string{"01-02 10:00!", "01-03 10:00"}},   // the newest verified
		{Policy{Last: 1}, []string{"01-01 10:00!", "01-02 10:00?", "01-03 10:00?"}, []string{"01-01 10:00!", "01-03 10:00?"}}, // a bad one is not it
		{Policy{Last: 1}, nil, nil},
	} {
		var keeps []string
		for _, d := range row.policy.Decide(backupsAt(t, row.all...)) {
			if d.Keep {
				keeps = append(keeps, d.ID)
			}
			if d.Keep != (len(d.Why) > 0) {
				t.Errorf("%+v: %s: kept %v because of %v", row.policy, d.ID, d.Keep, d.Why)
			}
		}
		if fmt.Sprint(keeps) != fmt.Sprint(row.keeps) {
			t.Errorf("%+v of %v keeps %v, want %v", row.policy, row.all, keeps, row.keeps)
		}
	}
}

func keysOf(t *testing.T, s *target.Store, prefix string) (keys []string) {
	t.Helper()
	objects, err := s.List(ctx, prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		keys = append(keys, o.Key)
	}
	return keys
}

func TestPrune_DeletesWholly_AndOnlyThat(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	c := copyOf(t)
	old := put(t, s, c, start)
	prove(t, s, old, false)
	kept := put(t, s, c, start.Add(time.Hour))
	prove(t, s, kept, true)
	before := keysOf(t, s, "")
	clk := clock.NewFake(start.Add(2 * time.Hour))

	dry, err := Prune(ctx, s, Policy{Last: 1}, clk, true)
	if err != nil || fmt.Sprint(keysOf(t, s, "")) != fmt.Sprint(before) {
		t.Fatalf("a dry run has changed something: %v", err)
	}
	wet, err := Prune(ctx, s, Policy{Last: 1}, clk, false)
	if err != nil || dry.Freed != old.Stored() || wet.Freed < dry.Freed {
		t.Errorf("%v: freed %d, and %d foretold", err, wet.Freed, dry.Freed)
	}
	for _, key := range keysOf(t, s, "") {
		if strings.Contains(key, old.ID) {
			t.Errorf("%s is left", key)
		}
	}
	if whole(t, s, sealed.Keys{}) != 1 {
		t.Error("the other backup has gone, too")
	}
	if _, err := Prune(ctx, s, Policy{}, clk, false); err == nil {
		t.Error("a policy that keeps nothing was taken")
	}
}

// A reader takes its lease before the pruning, between its looks, or after the
// entry has gone.
func TestPrune_WhileARestoreReads_NoFileGoes(t *testing.T) {
	c := copyOf(t)
	for step := range 100 {
		mem := vfs.NewMem()
		plain := openDir(t, mem)
		old := put(t, plain, c, start)
		put(t, plain, c, start.Add(time.Hour))
		var mu sync.Mutex // entries are read side by side
		var reader error
		began, n := false, step
		s := openDir(t, vfs.NewFaulty(mem, func(op vfs.Op) vfs.Fault {
			mu.Lock()
			defer mu.Unlock()
			if n--; n == -1 {
				began = true
				// From its lease on until it ends, nothing that it reads may go.
				reader = reading(ctx, plain, old, RestoreOptions{}.withDefaults(), "restore", func() error {
					_, err := Prune(ctx, plain, Policy{Last: 1}, nil, false)
					if err != nil {
						return err
					}
					return restore(ctx, plain, old, "/r", RestoreOptions{FS: mem}.withDefaults())
				})
			}
			return vfs.Fault{}
		}))
		if _, err := Prune(ctx, s, Policy{Last: 1}, nil, false); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if !began {
			return
		}
		if _, gone := reader.(*NotFoundError); reader != nil && !gone {
			t.Fatalf("step %d: the reader: %v", step, reader)
		}
	}
	t.Fatal("it never came to an end")
}

func TestPrune_BrokenOffBackup_IsSweptWhenNobodyIsAtIt(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	e := put(t, s, copyOf(t), start)
	for _, key := range []string{"backups/dead/001-x.zst", "backups/alive/001-x.zst"} {
		if err := s.Put(ctx, key, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	later := clock.NewFake(now.Add(2 * leftoverAge))
	release, err := hold(ctx, s, later, lease{Backup: "alive"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Prune(ctx, s, Policy{Last: 1}, clock.NewFake(now), false); err != nil || len(keysOf(t, s, "backups/dead")) != 1 {
		t.Errorf("a young one has gone, or %v", err)
	}
	done, err := Prune(ctx, s, Policy{Last: 1}, later, false)
	if err != nil || done.Leftover != 1 || len(keysOf(t, s, "backups/dead")) != 0 || len(keysOf(t, s, "backups/alive")) != 1 || len(keysOf(t, s, "backups/"+e.ID)) != 3 {
		t.Errorf("%+v, %v: %v", done, err, keysOf(t, s, ""))
	}
	release()
	// A lease whose holder has died runs out.
	if _, err := hold(ctx, s, clock.NewFake(now), lease{Backup: "alive"}); err != nil {
		t.Fatal(err)
	}
	if done, err := Prune(ctx, s, Policy{Last: 1}, later, false); err != nil || done.Leftover != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}
