package crash

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"limpet"
	"limpet/internal/modeltest"
)

// Here the real program runs on real disks that fill up, fail, or lose their power,
// under clients that write.

var policies = []limpet.Policy{limpet.Always, limpet.EverySec, limpet.No}

// onDisk is our program with its data on a small disk, and the clients that write.
type onDisk struct {
	*running
	disk    *smallDisk
	launch  launch
	writers []*writer
}

const diskWriters = 8

// diskBystanders are more than those of other tests, since every twentieth bucket
// may be one that a writer has just written to.
const diskBystanders = 1000

// startOnDisk starts it, with keys that no writer touches.
func startOnDisk(t *testing.T, disk *smallDisk, policy limpet.Policy, args ...string) *onDisk {
	t.Helper()
	o := &onDisk{disk: disk, writers: newWriters()[:diskWriters]}
	o.launch = launch{program: ourProgram, dir: filepath.Join(disk.dir, "data"),
		args: append([]string{"--appendonly", "yes", "--appendfsync", policy.String(), "--auto-aof-rewrite-percentage", "0"}, args...)}
	if err := os.Mkdir(o.launch.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o.restart(t)
	set := request{"MSET"}
	for i := range diskBystanders {
		set = append(set, bystander(i), "there")
	}
	must(t, o, set...)
	return o
}

// restart starts it where it does not run.
func (o *onDisk) restart(t *testing.T) {
	t.Helper()
	var refused string
	if o.running, refused = o.launch.start(t); o.running == nil {
		t.Fatalf("it does not start:\n%s", refused)
	}
}

// write lets the clients write until something happens.
func (o *onDisk) write(t *testing.T, until func()) {
	t.Helper()
	settle(t, o, o.writers)
	var running sync.WaitGroup
	for _, w := range o.writers {
		running.Go(func() { w.run(o.socket) })
	}
	until()
	running.Wait()
}

// fillAndWrite fills the disk under clients that write, until each has been refused.
func (o *onDisk) fillAndWrite(t *testing.T) {
	t.Helper()
	o.write(t, func() { o.disk.fill(t, 0) })
	o.wantRefusals(t)
}

// wantRefusals checks that each client has been refused because of the disk, and
// that reads are served all the same.
func (o *onDisk) wantRefusals(t *testing.T) {
	t.Helper()
	for _, w := range o.writers {
		if w.refused == nil || !o.blames(w.refused.Error()) {
			t.Errorf("writer %d was refused with %v, want %q", w.id, w.refused, o.disk.trouble)
		}
	}
	served, p := 0, o.dial(t)
	for i := range diskBystanders {
		switch v := p.do(t, "GET", bystander(i)); {
		case v.Text() == "there":
			served++
		case o.blames(v.Text()): // under always, for it may share a bucket with what hangs in the air
			p = o.dial(t) // with which the connection ends
		default:
			t.Fatalf("a read was answered with %q", v.Text())
		}
	}
	if served < diskBystanders/2 {
		t.Errorf("of %d reads only %d were served", diskBystanders, served)
	}
	if status := info(t, o, "aof_last_write_status"); status != "err" {
		t.Errorf("aof_last_write_status:%s", status)
	}
}

// blames tells whether an error is the one for what this disk does.
func (o *onDisk) blames(text string) bool {
	const misconf = "MISCONF Errors writing to the AOF file: "
	return slices.ContainsFunc(o.disk.trouble, func(why string) bool { return strings.HasSuffix(text, misconf+why) })
}

// healed waits until writes are taken again, by the same process.
func (o *onDisk) healed(t *testing.T) {
	t.Helper()
	eventually(t, "writes are taken again", func() bool {
		p := o.dial(t) // one that is refused may end
		defer func() { _ = p.conn.Close() }()
		return p.do(t, "SET", "again", "1").Err() == nil
	})
	if status := info(t, o, "aof_last_write_status"); status != "ok" {
		t.Errorf("aof_last_write_status:%s", status)
	}
}

// check looks for all that was acknowledged.
func (o *onDisk) check(t *testing.T, when string) {
	t.Helper()
	wrong := checkAll(t, o, o.writers)
	get := request{"MGET"}
	for i := range diskBystanders {
		get = append(get, bystander(i))
	}
	for i, v := range must(t, o, get...).Elems {
		if v.Text() != "there" {
			wrong = append(wrong, fmt.Sprintf("%s: %q", bystander(i), v.Text()))
		}
	}
	if len(wrong) > 0 {
		t.Fatalf("%s:\n%s", when, strings.Join(wrong, "\n"))
	}
}

// logged waits until the program has said something so often, from here on.
func (o *onDisk) logged(t *testing.T, text string, times int) {
	t.Helper()
	before := strings.Count(o.log.String(), text)
	eventually(t, fmt.Sprintf("it says %q %d times", text, times), func() bool {
		return strings.Count(o.log.String(), text) >= before+times
	})
}

// wantNoLitter looks for files that nothing will ever use.
func (o *onDisk) wantNoLitter(t *testing.T) {
	t.Helper()
	eventually(t, "temporary files are removed", func() bool {
		var litter []string
		for _, pattern := range []string{"temp-*", "appendonlydir/temp-*"} {
			names, err := filepath.Glob(filepath.Join(o.launch.dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			litter = append(litter, names...)
		}
		return len(litter) == 0
	})
}

// eachDiskAndPolicy runs a test on every kind of disk that can be full.
func eachDiskAndPolicy(t *testing.T, test func(t *testing.T, disk *smallDisk, policy limpet.Policy)) {
	kinds := map[string]func(*testing.T) *smallDisk{
		"tmpfs": func(t *testing.T) *smallDisk { return newTmpfs(t, smallDiskSize) }, "ext4": newExt4,
	}
	for kind, newDisk := range kinds {
		for _, policy := range policies {
			t.Run(kind+"/"+policy.String(), func(t *testing.T) {
				t.Parallel()
				test(t, newDisk(t), policy)
			})
		}
	}
}

func TestDisk_Full_WritesAreRefusedReadsAreServedAndItHeals(t *testing.T) {
	eachDiskAndPolicy(t, func(t *testing.T, disk *smallDisk, policy limpet.Policy) {
		o := startOnDisk(t, disk, policy)
		for range modeltest.Rounds(1) {
			o.fillAndWrite(t)
			o.logged(t, "is still broken", 1) // it tries in vain
			o.wantNoLitter(t)
			disk.empty(t)
			o.healed(t)
			o.check(t, "healed")
		}
		o.fillAndWrite(t)
		disk.empty(t)
		o.healed(t)
		o.kill()
		o.restart(t)
		o.check(t, "healed, killed and started again")
		o.kill()
		checkInRealRedis(t, o.launch.dir, o.writers)
	})
}

// A start on a disk that is still full serves what is there, or says what is the
// matter; either way nothing acknowledged is lost.
func TestDisk_Full_KilledAndStarted_LosesNothing(t *testing.T) {
	eachDiskAndPolicy(t, func(t *testing.T, disk *smallDisk, policy limpet.Policy) {
		o := startOnDisk(t, disk, policy)
		for round := range modeltest.Rounds(2) {
			o.fillAndWrite(t)
			o.kill()
			before := filesBelow(t, o.launch.dir)
			r, refused := o.launch.start(t)
			if r != nil {
				o.running = r
				o.check(t, fmt.Sprintf("round %d, started on the full disk", round))
				r.kill()
			} else if !strings.Contains(refused, "no space left on device") || !strings.Contains(refused, "cannot open "+o.launch.dir) {
				t.Errorf("it does not say why it does not start:\n%s", refused)
			}
			for name, text := range before {
				if !strings.HasPrefix(filesBelow(t, o.launch.dir)[name], text) && r == nil {
					t.Errorf("%s was changed by a start that failed", name)
				}
			}
			disk.empty(t)
			o.restart(t)
			o.check(t, fmt.Sprintf("round %d, started on a disk with room", round))
		}
		o.kill()
		checkInRealRedis(t, o.launch.dir, o.writers)
	})
}

// For a base or a dump there is no room, for the log there is.
func TestDisk_FullDuringRewriteSaveAndSwitch_NothingIsLostAndItIsMadeUpFor(t *testing.T) {
	eachDiskAndPolicy(t, func(t *testing.T, disk *smallDisk, policy limpet.Policy) {
		o := startOnDisk(t, disk, policy)
		rng := modeltest.Rand(t)
		big := make([]byte, 3<<20)
		for i := range big {
			big[i] = byte(rng.Uint32())
		}
		must(t, o, "SET", "big", string(big))
		must(t, o, "SAVE")
		dump := filepath.Join(o.launch.dir, "dump.rdb")
		saved, err := os.ReadFile(dump)
		if err != nil {
			t.Fatal(err)
		}
		ends := func() {
			eventually(t, "it ends", func() bool {
				return info(t, o, "aof_rewrite_in_progress") == "0" && info(t, o, "rdb_bgsave_in_progress") == "0"
			})
		}
		background := func(command, status string) {
			disk.fill(t, 1<<20)
			o.write(t, func() {
				must(t, o, command)
				ends()
				disk.fill(t, 0) // so that the clients end
			})
			if got := info(t, o, status); got != "err" {
				t.Errorf("%s on a full disk: %s:%s", command, status, got)
			}
			o.wantNoLitter(t)
			disk.empty(t)
			o.healed(t)
			o.check(t, command+" on a full disk")
			must(t, o, command)
			ends()
			if got := info(t, o, status); got != "ok" {
				t.Errorf("%s with room: %s:%s", command, status, got)
			}
		}
		background("BGSAVE", "rdb_last_bgsave_status")
		if now, err := os.ReadFile(dump); err != nil || len(now) < len(saved) {
			t.Errorf("the dump: %d bytes, it had %d (%v)", len(now), len(saved), err)
		}
		background("BGREWRITEAOF", "aof_last_bgrewrite_status")

		must(t, o, "CONFIG", "SET", "appendonly", "no")
		disk.fill(t, 1<<20)
		must(t, o, "CONFIG", "SET", "appendonly", "yes")
		o.logged(t, "could not be rewritten", 2)
		disk.empty(t)
		eventually(t, "the log is on", func() bool {
			return info(t, o, "aof_rewrite_in_progress") == "0" && info(t, o, "aof_rewrite_scheduled") == "0"
		})
		must(t, o, "SET", "after", "the switch")
		o.wantNoLitter(t)
		o.kill()
		o.restart(t)
		o.check(t, "switched on")
		if v := must(t, o, "GET", "after"); v.Text() != "the switch" {
			t.Errorf("what was written after the switch: %q", v.Text())
		}
		if v := must(t, o, "GET", "big"); v.Text() != string(big) {
			t.Error("a large value has changed")
		}
	})
}

// The device fails to sync what write(2) has taken. The kernel may drop that, and
// a later sync may succeed all the same; what counts is what is on the device.
func TestDisk_FailsToSync_NothingIsLostAndItHeals(t *testing.T) {
	for _, policy := range []limpet.Policy{limpet.Always, limpet.EverySec} { // no never syncs
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			o := startOnDisk(t, newThinExt4(t), policy)
			for range modeltest.Rounds(1) {
				o.fillAndWrite(t)
				o.disk.empty(t)
				o.healed(t)
				o.check(t, "healed")
			}
			eventually(t, "all is synced", func() bool { return info(t, o, "aof_pending_bio_fsync") == "0" })
			o.disk.cutPower(t)
			o.kill()
			o.disk.restore(t)
			o.restart(t)
			o.check(t, "healed, and then the power was cut")
		})
	}
}

// The disk is gone: it answers everything with EIO.
func TestDisk_Fails_WritesAreRefusedAndReadsAreServed(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			o := startOnDisk(t, newExt4(t), policy)
			var marks []mark
			cut := o.writeAndMark(t, time.Now().Add(everySecLoss/10), &marks, o.disk.cutPower)
			o.wantRefusals(t)
			if v := o.do(t, "SHUTDOWN"); v.Err() == nil {
				t.Errorf("SHUTDOWN was answered with %q though not all is on disk", v.Text())
			}
			_, _ = io.WriteString(o.conn, "SHUTDOWN FORCE\r\n")
			select {
			case <-o.exited:
			case <-time.After(patience):
				t.Fatalf("SHUTDOWN FORCE does not end it:\n%s", o.log)
			}
			if code := o.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(o.log.String(), "may not be on disk") {
				t.Errorf("it ended with code %d and does not say that writes may be lost:\n%s", code, o.log)
			}
			o.disk.restore(t)
			o.restart(t)
			wantFirstPart(t, o, o.writers, marks, policy, cut)
			o.kill()
		})
	}
}

// The power of a real disk is cut under load, rewrites included: nothing is on it
// that was not synced, unless the kernel has written it on its own.
func TestDisk_PowerCut_KeepsWhatIsPromised(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			rng := modeltest.Rand(t)
			disk := newExt4(t)
			o := startOnDisk(t, disk, policy, "--auto-aof-rewrite-percentage", "50", "--auto-aof-rewrite-min-size", "64kb")
			var marks []mark
			for range modeltest.Rounds(2) {
				while := time.Duration(50+rng.IntN(300)) * time.Millisecond
				if policy == limpet.EverySec {
					while += everySecLoss
				}
				cut := o.writeAndMark(t, time.Now().Add(while), &marks, func(t *testing.T) {
					o.freeze(t)
					disk.cutPower(t)
					o.kill()
				})
				disk.restore(t)
				o.restart(t)
				if policy == limpet.Always {
					o.check(t, "the power was cut")
				}
				wantFirstPart(t, o, o.writers, marks, policy, cut)
				must(t, o, "SET", "marks", strconv.Itoa(len(marks)))
			}
			o.kill()
		})
	}
}

// writeAndMark lets the clients write and takes marks until a moment, and then does
// what makes the clients end. It answers when that was.
func (o *onDisk) writeAndMark(t *testing.T, end time.Time, marks *[]mark, do func(*testing.T)) (done time.Time) {
	t.Helper()
	o.write(t, func() {
		p := o.dial(t)
		for time.Now().Before(end) {
			*marks = append(*marks, takeMark(t, p, o.writers))
		}
		done = time.Now()
		do(t)
	})
	return done
}

// freeze stops the process where it is, as a machine that loses its power does: it
// answers nobody any more, though the kernel goes on.
func (o *onDisk) freeze(t *testing.T) {
	t.Helper()
	if err := o.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all threads stop", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", o.cmd.Process.Pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("threads: %v", err)
		}
		for _, thread := range threads {
			b, _ := os.ReadFile(thread)
			_, state, _ := strings.Cut(string(b), ") ")
			if !strings.HasPrefix(state, "T") && !strings.HasPrefix(state, "D") { // D: in the kernel, and does not come back
				return false
			}
		}
		return true
	})
}

// everySecLoss is what everysec may lose: a second, and the time that a sync takes
// on a machine that is busy with other tests.
const everySecLoss = 2 * time.Second

// mark is a place in the order of all writes: its number, and what the writers'
// counters were there.
type mark struct {
	counters     []int
	acknowledged time.Time
}

// takeMark counts a mark and looks at the counters in one unit.
func takeMark(t *testing.T, p peer, writers []*writer) mark {
	t.Helper()
	get := request{"MGET"}
	for _, w := range writers {
		get = append(get, w.counter())
	}
	for _, words := range []request{{"MULTI"}, get, {"INCR", "marks"}} {
		must(t, p, words...)
	}
	m := mark{acknowledged: time.Now()}
	for _, v := range must(t, p, "EXEC").Elems[0].Elems {
		n, _ := strconv.Atoi(v.Text())
		m.counters = append(m.counters, n)
	}
	return m
}

// wantFirstPart checks that what is there is what some first part of all writes has
// made, and that it is long enough.
func wantFirstPart(t *testing.T, p peer, writers []*writer, marks []mark, policy limpet.Policy, cut time.Time) {
	t.Helper()
	last, _ := strconv.Atoi(must(t, p, "GET", "marks").Text())
	for i, m := range marks {
		if policy == limpet.Always && i+1 > last || policy == limpet.EverySec && i+1 > last && cut.Sub(m.acknowledged) > everySecLoss {
			t.Errorf("mark %d is missing, which was acknowledged %v before the power was cut", i+1, cut.Sub(m.acknowledged))
		}
	}
	for i, w := range writers {
		n, _ := strconv.Atoi(must(t, p, "GET", w.counter()).Text())
		if last > 0 && n < marks[last-1].counters[i] {
			t.Errorf("mark %d is there, %s is %d, but was %d before it", last, w.counter(), n, marks[last-1].counters[i])
		}
		if last < len(marks) && n > marks[last].counters[i] {
			t.Errorf("mark %d is missing, %s is %d, but was %d then", last+1, w.counter(), n, marks[last].counters[i])
		}
		left, right := must(t, p, "GET", w.left()).Text(), must(t, p, "GET", w.right()).Text()
		if left != right {
			t.Errorf("a half transaction: %s is %s, %s is %s", w.left(), left, w.right(), right)
		}
	}
	t.Logf("%d marks, %d of them there", len(marks), last)
}
