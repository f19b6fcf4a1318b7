package crash

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"limpet"
	"limpet/internal/modeltest"
	"limpet/vfs"
)

// trouble is what a disk does for some operations.
type trouble struct {
	name    string
	err     error // of what fails
	short   bool  // writes are cut in half
	lasting int   // operations that fail, one after another
	wire    string
}

var troubles = []trouble{
	{"full", syscall.ENOSPC, true, 6, "MISCONF Errors writing to the AOF file: No space left on device"},
	{"failing once", syscall.EIO, false, 1, "MISCONF Errors writing to the AOF file: Input/output error"},
	{"failing for long", syscall.EIO, false, 6, "MISCONF Errors writing to the AOF file: Input/output error"},
	{"writing short", io.ErrShortWrite, true, 1, "MISCONF Errors writing to the AOF file: No space left on device"},
}

// bad makes operation n that changes the disk, and those right after it, fail.
type bad struct {
	trouble
	mu      sync.Mutex
	from    int
	seen    int
	hit     bool
	failing bool
}

func (b *bad) ask(op vfs.Op) vfs.Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !op.Changes() || op.Kind == vfs.OpRemove && errors.Is(b.err, syscall.ENOSPC) {
		return vfs.Fault{}
	}
	b.seen++
	b.failing = b.seen > b.from && b.seen <= b.from+b.lasting
	if !b.failing {
		return vfs.Fault{}
	}
	b.hit = true
	f := vfs.Fault{Err: b.err}
	if b.short && op.Kind == vfs.OpWrite {
		f.Short = int(op.Size / 2)
	}
	return f
}

// TestFault_AtEveryOperation lets the disk fail at each operation of a start, of
// appending, a rewrite, a save, switching the log off and on, and a close. What was acknowledged stays, reads
// are served, writes are refused in Redis's words, and the store gets well by
// itself when the disk does.
func TestFault_AtEveryOperation(t *testing.T) {
	for _, policy := range []limpet.Policy{limpet.Always, limpet.EverySec} {
		for _, tr := range troubles {
			t.Run(fmt.Sprintf("%v, disk %s", policy, tr.name), func(t *testing.T) {
				t.Parallel()
				failEverywhere(t, policy, tr)
			})
		}
	}
}

// bystanders are keys that no unit of the script touches.
const bystanders = 150

func failEverywhere(t *testing.T, policy limpet.Policy, tr trouble) {
	rng := modeltest.Rand(t)
	script := calmScript(rng)
	states := statesOf(t, script)
	n := 0
	for ; ; n++ {
		b := &bad{trouble: tr, from: n}
		p := &play{t: t, disk: vfs.NewCrash(), policy: policy, faults: b.ask}
		p.onStart = func(err error) {
			if !errors.Is(err, tr.err) {
				t.Fatalf("fault %d: the store did not start, and not because of the disk: %v", n, err)
			}
		}
		p.onRefusal = func(p *play, why string) {
			if why != tr.wire {
				t.Errorf("fault %d: refused with %q, want %q", n, why, tr.wire)
			}
			if p.safe > 0 { // else they are what hangs in the air
				readBystanders(t, p, tr.wire)
			}
		}
		p.run(script)
		if p.executed != len(states)-1 {
			t.Fatalf("fault %d: %d of %d units ran", n, p.executed, len(states)-1)
		}
		for name, image := range map[string]*vfs.Crash{"the process died": p.disk.KeepAll(), "the power was cut": p.disk.LoseUnsynced()} {
			wantPrefix(t, fmt.Sprintf("fault %d, then %s", n, name), image, states, p.safe, p.executed)
		}
		if t.Failed() {
			return
		}
		if !b.hit {
			break
		}
	}
	t.Logf("%d units, a fault at each of %d operations", len(states)-1, n)
}

// calmScript has no fault of its own and flushes nothing, so that the bystanders
// stay.
func calmScript(rng *rand.Rand) []step {
	set := request{"MSET"}
	for i := range bystanders {
		set = append(set, bystander(i), "there")
	}
	script := []step{{write, []unit{{set}}}}
	for _, what := range []string{"", second, beginToRewr, "", endRewrite, save, "", second, beginToRewr, endRewrite, "",
		switchOff, "", beginSwitch, "", endSwitch, ""} {
		if what != "" {
			script = append(script, step{what: what})
			continue
		}
		for range 3 {
			u := randomUnit(rng)
			for flushes(u) {
				u = randomUnit(rng)
			}
			script = append(script, step{write, []unit{u, {{"INCR", "writes"}}}})
		}
	}
	return script
}

func flushes(u unit) bool {
	for _, r := range u {
		if r[0] == "FLUSHALL" {
			return true
		}
	}
	return false
}

func bystander(i int) string { return "bystander:" + strconv.Itoa(i) }

// readBystanders reads while writes are refused. Under always a key that lies in
// a bucket with one whose write hangs in the air cannot be shown; most can.
func readBystanders(t *testing.T, p *play, wire string) {
	t.Helper()
	served := 0
	for i := range bystanders {
		switch v := p.s.do(t, "GET", bystander(i)); v.Text() {
		case "there":
			served++
		case wire:
		default:
			t.Fatalf("a read was answered with %q", v.Text())
		}
	}
	if served < bystanders/2 {
		t.Errorf("of %d reads only %d were served", bystanders, served)
	}
}
