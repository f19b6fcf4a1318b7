package engine

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"limpet/clock"
)

// fakeFile is a log file whose syncs a test holds up and fails.
type fakeFile struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    string
	synced  string // data at the latest sync
	syncs   int
	closed  bool
	hold    bool // appends and syncs wait
	waiting int  // appends and syncs that wait
	err     error
}

func newFakeFile() *fakeFile {
	f := &fakeFile{}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// pass waits while the file is held. f.mu is held.
func (f *fakeFile) pass() error {
	f.waiting++
	f.changed.Broadcast()
	for f.hold {
		f.changed.Wait()
	}
	f.waiting--
	return f.err
}

func (f *fakeFile) Append(b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.data += string(b)
	return nil
}

func (f *fakeFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data := f.data
	if err := f.pass(); err != nil {
		return err
	}
	if f.synced != data {
		f.synced = data
		f.syncs++
	}
	return nil
}

func (f *fakeFile) Size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.data))
}

func (f *fakeFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fakeFile) set(change func()) {
	f.mu.Lock()
	change()
	f.changed.Broadcast()
	f.mu.Unlock()
}

// awaitHeld waits until a sync has begun and is held.
func (f *fakeFile) awaitHeld() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.waiting == 0 {
		f.changed.Wait()
	}
}

func (f *fakeFile) state() (data, synced string, syncs int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.data, f.synced, f.syncs
}

func startLog(t *testing.T, f *fakeFile, p Policy) (*commitLog, *clock.Fake) {
	c := fakeTime()
	l := newCommitLog(f, p, c, slog.New(slog.DiscardHandler))
	awaitWaiters(t, c, 1) // the ticker
	t.Cleanup(func() {
		f.set(func() { f.hold = false })
		if !l.isClosed() {
			_ = l.close()
		}
	})
	return l, c
}

func (l *commitLog) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file == nil
}

// await waits for a state that the log's goroutine brings about.
func (l *commitLog) await(holds func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !holds() {
		l.progress.Wait()
	}
}

// put appends a record as a batch does.
func (l *commitLog) put(record string, seq uint64) {
	l.append([]byte(record), seq)
	l.flush()
}

// waitLater calls wait in the background.
func (l *commitLog) waitLater(seq uint64) <-chan error {
	done := make(chan error, 1)
	go func() { done <- l.wait(seq) }()
	return done
}

func TestLog_Always_OneSyncCoversAllThatCameMeanwhile(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, Always)
	f.set(func() { f.hold = true })
	l.put("1", 1)
	f.awaitHeld()
	waits := []<-chan error{l.waitLater(1)}
	for i := uint64(2); i <= 9; i++ {
		l.put(string(rune('0'+i)), i)
		waits = append(waits, l.waitLater(i))
	}
	f.set(func() { f.hold = false })
	for i, w := range waits {
		if err := <-w; err != nil {
			t.Errorf("ticket %d: %v", i+1, err)
		}
	}
	if data, synced, syncs := f.state(); data != "123456789" || synced != data || syncs != 2 {
		t.Errorf("file %q, synced %q, in %d syncs; want all of it in 2", data, synced, syncs)
	}
}

func TestLog_Always_ATicketWaitsForItsOwnRecordOnly(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, Always)
	l.put("1", 1)
	if err := l.wait(1); err != nil {
		t.Fatal(err)
	}
	f.set(func() { f.hold = true })
	l.put("2", 2)
	f.awaitHeld()
	if err := l.wait(1); err != nil { // would never return if it waited for 2
		t.Fatal(err)
	}
	if err := l.wait(0); err != nil {
		t.Fatal(err)
	}
	second := l.waitLater(2)
	select {
	case err := <-second:
		t.Fatalf("the second ticket did not wait: %v", err)
	default:
	}
	f.set(func() { f.hold = false })
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	if _, synced, _ := f.state(); synced != "12" {
		t.Errorf("acknowledged, but synced is only %q", synced)
	}
}

func TestLog_EverySec_SyncsWithinOneTickAndNeverHoldsAReply(t *testing.T) {
	f := newFakeFile()
	l, c := startLog(t, f, EverySec)
	l.put("a", 1)
	if err := l.wait(1); err != nil {
		t.Fatal(err)
	}
	l.await(func() bool { return l.written == 1 })
	if _, _, syncs := f.state(); syncs != 0 {
		t.Fatalf("%d syncs before a second has passed", syncs)
	}
	c.Advance(time.Second)
	l.await(func() bool { return l.synced == 1 })
	if _, synced, _ := f.state(); synced != "a" {
		t.Fatalf("synced %q", synced)
	}
	c.Advance(10 * time.Second) // nothing new: nothing to sync
	l.put("b", 2)
	l.await(func() bool { return l.written == 2 })
	if _, _, syncs := f.state(); syncs > 2 {
		t.Fatalf("%d syncs of two records", syncs)
	}
}

func TestLog_No_SyncsOnlyAtClose(t *testing.T) {
	f := newFakeFile()
	l, c := startLog(t, f, No)
	l.put("a", 1)
	l.await(func() bool { return l.written == 1 })
	c.Advance(time.Minute)
	l.put("b", 2)
	l.await(func() bool { return l.written == 2 })
	if _, _, syncs := f.state(); syncs != 0 {
		t.Fatalf("%d syncs", syncs)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if _, synced, _ := f.state(); synced != "ab" || !f.closed {
		t.Fatalf("after close: synced %q, closed %v", synced, f.closed)
	}
}

func TestLog_PolicyTurnedUp_SyncsWhatWasLeftUnsynced(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, No)
	l.put("a", 1)
	l.await(func() bool { return l.written == 1 })
	l.setPolicy(Always)
	if err := l.wait(1); err != nil {
		t.Fatal(err)
	}
	if _, synced, _ := f.state(); synced != "a" {
		t.Fatalf("acknowledged under always, synced %q", synced)
	}
}

func TestLog_PolicyTurnedDown_LetsWaitingRepliesGo(t *testing.T) {
	for _, p := range []Policy{EverySec, No} {
		f := newFakeFile()
		l, _ := startLog(t, f, Always)
		f.set(func() { f.hold = true })
		l.put("a", 1)
		f.awaitHeld()
		l.put("b", 2)
		second := l.waitLater(2)
		l.setPolicy(p)
		if err := <-second; err != nil { // under No, nothing would ever sync b
			t.Fatalf("%v: %v", p, err)
		}
		f.set(func() { f.hold = false })
	}
}

func TestLog_Rotation_CutsExactlyWhereItWasAskedFor(t *testing.T) {
	old, next := newFakeFile(), newFakeFile()
	l, _ := startLog(t, old, EverySec)
	old.set(func() { old.hold = true })
	l.put("before ", 1)
	var syncedAtTurn string
	rotated := l.rotateHere(func(logFile) (logFile, error) {
		_, syncedAtTurn, _ = old.state()
		return next, nil
	})
	l.put("after", 2) // while the old file is still being synced
	old.set(func() { old.hold = false })
	if err := <-rotated; err != nil {
		t.Fatal(err)
	}
	l.setPolicy(Always)
	if err := l.wait(2); err != nil {
		t.Fatal(err)
	}
	if data, _, _ := old.state(); data != "before " || syncedAtTurn != "before " {
		t.Errorf("old file %q, of which %q was synced when the next began", data, syncedAtTurn)
	}
	if data, synced, _ := next.state(); data != "after" || synced != data {
		t.Errorf("new file %q, synced %q", data, synced)
	}
	if got := l.size.Load(); got != int64(len("after")) {
		t.Errorf("size is %d, want that of the new file", got)
	}
}

func TestLog_RotationFails_TheOldFileGoesOn(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, Always)
	l.put("1", 1)
	failed := l.rotateHere(func(logFile) (logFile, error) { return nil, syscall.ENOSPC })
	l.put("2", 2)
	if err := <-failed; !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := l.wait(2); err != nil {
		t.Fatal(err)
	}
	if data, synced, _ := f.state(); data != "12" || synced != data {
		t.Errorf("file %q, synced %q", data, synced)
	}
	if l.failure() != nil {
		t.Errorf("the log counts as broken: %v", l.failure())
	}
}

func TestLog_RotationEndsTheOldFile_IsNoticedAtOnce(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, EverySec)
	failed := l.rotateHere(func(logFile) (logFile, error) {
		f.set(func() { f.err = syscall.EIO }) // as when a successor may already be named
		return nil, syscall.EIO
	})
	if err := <-failed; !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if l.failure() == nil {
		t.Error("the file takes nothing any more, but writes are still let through")
	}
}

func TestLog_SecondRotation_IsRefusedWhileOneIsUnderWay(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, Always)
	f.set(func() { f.hold = true })
	l.put("1", 1)
	first := l.rotateHere(func(old logFile) (logFile, error) { return old, nil })
	second := l.rotateHere(func(logFile) (logFile, error) { t.Error("turned twice"); return nil, nil })
	if err := <-second; err == nil {
		t.Error("the second was accepted")
	}
	f.set(func() { f.hold = false })
	if err := <-first; err != nil {
		t.Error(err)
	}
}

func TestLog_Broken_WaitingTicketsFailAndNothingFollowsInTheFile(t *testing.T) {
	f := newFakeFile()
	l, c := startLog(t, f, Always)
	l.put("1", 1)
	if err := l.wait(1); err != nil {
		t.Fatal(err)
	}
	f.set(func() { f.hold = true })
	l.put("2", 2)
	f.awaitHeld()
	second := l.waitLater(2)
	l.put("3", 3)
	third := l.waitLater(3)
	f.set(func() { f.hold, f.err = false, syscall.EIO })
	for i, w := range []<-chan error{second, third} {
		if err := <-w; !errors.Is(err, syscall.EIO) {
			t.Errorf("ticket %d: %v", i+2, err)
		}
	}
	if err := l.wait(1); err != nil {
		t.Errorf("what was synced before depends on nothing broken: %v", err)
	}

	f.set(func() { f.err = nil }) // the disk is back: a sync now would prove nothing
	l.put("4", 4)
	c.Advance(time.Minute)
	if err := l.wait(4); !errors.Is(err, syscall.EIO) {
		t.Errorf("ticket 4: %v", err)
	}
	if data, _, _ := f.state(); data != "12" {
		t.Errorf("file %q: something was written behind the failure", data)
	}
}

func TestLog_BrokenAppend_FailsARotationToo(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, Always)
	f.set(func() { f.err = syscall.ENOSPC })
	l.put("1", 1)
	if err := l.wait(1); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	err := <-l.rotateHere(func(logFile) (logFile, error) { t.Error("turned"); return nil, nil })
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("rotation: %v", err)
	}
}

func TestLog_Replace_MakesEverythingDurableAndGoesOn(t *testing.T) {
	f, next := newFakeFile(), newFakeFile()
	l, _ := startLog(t, f, Always)
	f.set(func() { f.err = syscall.EIO })
	l.put("1", 1)
	if err := l.wait(1); err == nil {
		t.Fatal("a write that failed was acknowledged")
	}
	l.replace(next)
	if err := l.wait(1); err != nil {
		t.Errorf("what the new base holds: %v", err)
	}
	l.put("2", 2)
	if err := l.wait(2); err != nil {
		t.Error(err)
	}
	if data, synced, _ := next.state(); data != "2" || synced != data || !f.closed || l.failure() != nil {
		t.Errorf("new file %q, synced %q; old closed %v; failure %v", data, synced, f.closed, l.failure())
	}
}

func TestLog_Close_WritesAndSyncsWhatIsLeft(t *testing.T) {
	for _, p := range []Policy{EverySec, Always, No} {
		f := newFakeFile()
		l, _ := startLog(t, f, p)
		for i := range uint64(100) {
			l.put("x", i+1)
		}
		if err := l.close(); err != nil {
			t.Fatal(err)
		}
		if _, synced, _ := f.state(); synced != strings.Repeat("x", 100) || !f.closed {
			t.Errorf("%v: synced %d of 100 bytes, closed %v", p, len(synced), f.closed)
		}
		if err := <-l.rotateHere(nil); err == nil {
			t.Errorf("%v: a closed log can be rotated", p)
		}
	}
}

func TestLog_Close_TellsThatTheFileWasBroken(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, EverySec)
	f.set(func() { f.err = syscall.EIO })
	l.put("1", 1)
	if err := l.close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("close: %v", err)
	}
}

func TestLog_TooMuchBuffered_WritersWaitForTheDisk(t *testing.T) {
	f := newFakeFile()
	l, _ := startLog(t, f, Always)
	f.set(func() { f.hold = true })
	l.put("1", 1)
	f.awaitHeld()
	l.throttle()
	l.put(strings.Repeat("x", maxBuffered+1), 2)
	passed := make(chan struct{})
	go func() { l.throttle(); close(passed) }()
	select {
	case <-passed:
		t.Fatal("a writer passed although too much is waiting")
	default:
	}
	f.set(func() { f.hold = false })
	<-passed
}

// Whoever gets a reply may kill the process next: under everysec and no, what is
// acknowledged is the kernel's by then.
func TestLog_WithoutAlways_WhatIsAcknowledgedHasReachedTheFile(t *testing.T) {
	for _, policy := range []Policy{EverySec, No} {
		t.Run(policy.String(), func(t *testing.T) {
			f := newFakeFile()
			l, _ := startLog(t, f, policy)
			for i := range 100 {
				l.put("x", uint64(i+1))
				if n := f.Size(); n != int64(i+1) {
					t.Fatalf("after flush(%d) the file has %d bytes", i+1, n)
				}
			}
		})
	}
}

// A disk that takes long to sync holds nobody up under everysec: what comes
// meanwhile is written and acknowledged beside it.
func TestLog_EverySec_NobodyWaitsForASync(t *testing.T) {
	f := newFakeFile()
	l, c := startLog(t, f, EverySec)
	l.put("a", 1)
	f.set(func() { f.hold = true })
	c.Advance(time.Second)
	f.awaitHeld()
	l.put("b", 2)
	if err := l.wait(2); err != nil { // would hang here
		t.Fatal(err)
	}
	if data, synced, _ := f.state(); data != "ab" || synced != "" {
		t.Errorf("file %q, synced %q", data, synced)
	}
}

// While the log is rotated there is no file to write to. What comes then is
// acknowledged once it is in the next one.
func TestLog_EverySec_WhatComesDuringARotationWaitsForTheNextFile(t *testing.T) {
	old, next := newFakeFile(), newFakeFile()
	l, _ := startLog(t, old, EverySec)
	l.put("a", 1)
	old.set(func() { old.hold = true })
	rotated := l.rotateHere(func(logFile) (logFile, error) { return next, nil })
	old.awaitHeld()
	l.put("b", 2)
	if settled, _ := l.settled(2); settled {
		t.Error("acknowledged without being in a file")
	}
	if settled, err := l.settled(1); !settled || err != nil {
		t.Errorf("what is in the old file: %v, %v", settled, err)
	}
	old.set(func() { old.hold = false })
	if err := <-rotated; err != nil {
		t.Fatal(err)
	}
	if err := l.wait(2); err != nil {
		t.Fatal(err)
	}
	if data, _, _ := next.state(); data != "b" {
		t.Errorf("next file %q", data)
	}
}

// A write that the kernel did not take is not acknowledged under any policy.
func TestLog_WithoutAlways_AFailedWriteIsNotAcknowledged(t *testing.T) {
	for _, policy := range []Policy{EverySec, No} {
		f := newFakeFile()
		l, _ := startLog(t, f, policy)
		l.put("a", 1)
		f.set(func() { f.err = syscall.ENOSPC })
		l.put("b", 2)
		if err := l.wait(2); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v: ticket 2: %v", policy, err)
		}
		if err := l.wait(1); err != nil {
			t.Errorf("%v: ticket 1: %v", policy, err)
		}
	}
}

// A unit may change a key and have nothing to say of it to the log. Its reply is
// settled all the same, whoever is at the file meanwhile.
func TestLog_AUnitWithoutARecord_IsSettledUnderEveryPolicy(t *testing.T) {
	for _, policy := range []Policy{EverySec, Always, No} {
		old, next := newFakeFile(), newFakeFile()
		l, _ := startLog(t, old, policy)
		l.put("a", 1)
		l.put("", 2)
		if err := l.wait(2); err != nil {
			t.Fatalf("%v: %v", policy, err)
		}
		old.set(func() { old.hold = true })
		l.put("b", 3)
		rotated := l.rotateHere(func(logFile) (logFile, error) { return next, nil })
		l.put("", 4)
		old.set(func() { old.hold = false })
		if err := <-rotated; err != nil {
			t.Fatal(err)
		}
		l.append(nil, 5)
		again := l.rotateHere(func(logFile) (logFile, error) { return newFakeFile(), nil })
		if err := errors.Join(<-again, l.wait(5)); err != nil {
			t.Fatalf("%v: %v", policy, err)
		}
	}
}
