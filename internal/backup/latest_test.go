package backup

import (
	"strings"
	"testing"
	"time"

	"limpet/internal/target"
	"limpet/vfs"
)

// proveAt writes a proof that a verification at a moment would.
func proveAt(t *testing.T, s *target.Store, e *Entry, at time.Time, ok bool) {
	t.Helper()
	p := Proof{Time: at, OK: ok, Files: fine}
	if err := createJSON(ctx, s, catalogue+e.ID+proofPrefix+at.Format(idTime)+".json", p); err != nil {
		t.Fatal(err)
	}
}

func latest(t *testing.T, s *target.Store) *Latest {
	t.Helper()
	l, err := ReadLatest(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The newest backup and the newest drill are found, whichever backup that was
// of, and an empty target is no error.
func TestReadLatest_FindsTheNewestOfEach(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	if l := latest(t, s); l.Backups != 0 || l.Newest != nil || l.Checked != nil || l.Verified != nil {
		t.Errorf("of nothing: %+v", l)
	}
	c := copyOf(t)
	first, second := put(t, s, c, start), put(t, s, c, start.Add(time.Hour))
	if l := latest(t, s); l.Backups != 2 || l.Newest.ID != second.ID || l.Verified != nil {
		t.Errorf("%+v", l)
	}
	good, bad := start.Add(5*time.Hour), start.Add(6*time.Hour)
	proveAt(t, s, second, start.Add(2*time.Hour), true)
	proveAt(t, s, first, good, true)
	proveAt(t, s, second, bad, false)
	l := latest(t, s)
	if !l.Verified.Time.Equal(good) || !l.Checked.Time.Equal(bad) || l.Checked.OK {
		t.Errorf("verified %v, checked %v, want %v and %v", l.Verified.Time, l.Checked.Time, good, bad)
	}
	for i := range badProofs {
		proveAt(t, s, second, bad.Add(time.Duration(i+1)*time.Minute), false)
	}
	if l := latest(t, s); l.Verified != nil || l.Checked == nil {
		t.Errorf("after many bad ones: %+v", l)
	}
}

func TestReadLatest_DamagedEntry_IsAnError(t *testing.T) {
	s := openDir(t, vfs.NewMem())
	e := put(t, s, copyOf(t), start)
	if err := s.Put(ctx, entryKey(e.ID), strings.NewReader("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLatest(ctx, s); err == nil || !strings.Contains(err.Error(), e.ID) {
		t.Errorf("%v", err)
	}
}
