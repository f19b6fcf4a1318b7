package backup

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"limpet/internal/sealed"
	"limpet/internal/target"
	"limpet/internal/target/targettest"
	"limpet/vfs"
)

func TestTakeAndRestore_EveryFileComesBackByteForByte(t *testing.T) {
	s3, err := target.Open(ctx, targettest.StartS3(t).Spec(t, "backups"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*target.Store{"directory": openDir(t, vfs.NewMem()), "S3": s3} {
		for _, k := range []sealed.Keys{{}, keyPair(t)} {
			e, err := Take(ctx, s, copyOf(t), TakeOptions{Keys: k})
			if err != nil {
				t.Fatal(err)
			}
			l, err := Find(ctx, s, e.ID[:20])
			if err != nil || l.ID != e.ID || l.Encrypted != (len(k.Recipients) > 0) || l.Size() != e.Size() || l.Stored() == 0 {
				t.Fatalf("%s: %+v, %v", name, l, err)
			}
			mem := vfs.NewMem()
			if err := Restore(ctx, s, &l.Entry, "/r", RestoreOptions{FS: mem, Keys: k}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := found(t, mem, "/r"); fmt.Sprint(got) != fmt.Sprint(files) {
				t.Errorf("%s: %q", name, got)
			}
		}
		if left, err := s.List(ctx, leases); err != nil || len(left) != 0 {
			t.Errorf("%s: leases left: %v, %v", name, left, err)
		}
	}
}

// The target's disk is full, or fails, at any operation of a backup.
func TestTake_TargetFailsAtEveryOperation_WhatIsListedIsWhole(t *testing.T) {
	c := copyOf(t)
	for step := range 10_000 {
		mem, n := vfs.NewMem(), step
		s := openDir(t, vfs.NewFaulty(mem, func(op vfs.Op) (f vfs.Fault) {
			if op.Changes() {
				if n == 0 {
					f = vfs.Fault{Err: syscall.ENOSPC, Short: 1}
				}
				n--
			}
			return f
		}))
		_, err := Take(ctx, s, c, TakeOptions{})
		met := n < 0
		if listed := whole(t, openDir(t, mem), sealed.Keys{}); err == nil && listed != 1 {
			t.Fatalf("step %d: no error, and %d backups", step, listed)
		}
		if !met {
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Fatal("it never came to an end")
}

func TestTake_PowerCutAtEveryStep_WhatIsListedIsWhole(t *testing.T) {
	c := copyOf(t)
	for step := range 10_000 {
		disk := vfs.NewCrash()
		disk.StopBefore(step)
		s := openDir(t, disk)
		_, err := Take(ctx, s, c, TakeOptions{})
		rng := rand.New(rand.NewPCG(1, uint64(step)))
		for _, image := range []*vfs.Crash{disk.LoseUnsynced(), disk.KeepAll(), disk.CrashImage(rng), disk.CrashImage(rng), disk.CrashImage(rng)} {
			if listed := whole(t, openDir(t, image), sealed.Keys{}); err == nil && listed != 1 {
				t.Fatalf("step %d: acknowledged, and %d backups", step, listed)
			}
		}
		if !disk.PowerIsOff() {
			return
		}
	}
	t.Fatal("it never came to an end")
}

// A proxy before a real S3 server refuses everything from some request on, cuts
// one off in the middle, or loses its answer. The last two are tried again by the
// library, which must not make a half of a whole.
func TestTake_BucketFailsAtEveryRequest_WhatIsListedIsWhole(t *testing.T) {
	c := copyOf(t)
	server := targettest.StartS3(t)
	to, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(to)
	forward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	for _, how := range []string{"refuse", "cut", "lose the answer"} {
		var left atomic.Int64
		proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := left.Add(-1)
			if how == "refuse" && n < 0 {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			if n != -1 {
				forward.ServeHTTP(w, r)
				return
			}
			if how == "cut" {
				_, _ = io.CopyN(io.Discard, r.Body, 10)
			} else {
				forward.ServeHTTP(httptest.NewRecorder(), r)
			}
			panic(http.ErrAbortHandler)
		}))
		proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
		proxy.Start()
		bucket := "faulty-" + strings.ReplaceAll(how, " ", "-")
		direct, err := target.Open(ctx, server.Spec(t, bucket))
		if err != nil {
			t.Fatal(err)
		}
		faulty, err := target.Open(ctx, server.Through(proxy.URL, bucket))
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for step := range 100 {
			left.Store(int64(step))
			_, err := Take(ctx, faulty, c, TakeOptions{})
			listed := whole(t, direct, sealed.Keys{}, seen...)
			if left.Load() >= 0 {
				if err != nil || listed == 0 {
					t.Errorf("%s: nothing was in the way: %v, %d backups", how, err, listed)
				}
				break
			}
			seen = ids(t, direct)
		}
		proxy.Close()
	}
}

func ids(t *testing.T, s *target.Store) (all []string) {
	t.Helper()
	for _, key := range keysOf(t, s, catalogue) {
		id, _, _ := strings.Cut(strings.TrimPrefix(key, catalogue), "/")
		all = append(all, id)
	}
	return all
}
