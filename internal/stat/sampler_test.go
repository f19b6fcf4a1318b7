package stat

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"limpet/internal/info"
	"limpet/internal/testredis"
)

// at makes sense of an answer a number of seconds after the beginning.
func at(s *Sampler, seconds float64, text string) Sample {
	return s.sample(info.Parse(text), time.Unix(1000, 0).Add(time.Duration(seconds*float64(time.Second))))
}

func answer(size, calls, refused int) string {
	return fmt.Sprintf("# Persistence\r\naof_enabled:1\r\naof_current_size:%d\r\naof_base_size:1000\r\naof_last_write_status:ok\r\nrdb_last_bgsave_status:ok\r\naof_last_bgrewrite_status:ok\r\n"+
		"# Stats\r\ntotal_commands_processed:%d\r\n# Commandstats\r\ncmdstat_get:calls=%d,usec=1\r\ncmdstat_config|get:calls=%d\r\ncmdstat_set:calls=%d,usec=2\r\n"+
		"# Errorstats\r\nerrorstat_MISCONF:count=%d\r\n", size, 5*calls, 3*calls, 9*calls, calls, refused)
}

func TestSample_RatesAreSinceTheLookBefore(t *testing.T) {
	s := &Sampler{kinds: map[string]kind{"get": read, "set": write}}
	if v := at(s, 0, answer(1000, 10, 0)); v.ReadsPerSecond != nil || v.RefusedPerSecond != nil {
		t.Errorf("%+v", v)
	}
	v := at(s, 2, answer(1000, 20, 1))
	if v.OpsPerSecond != 25 || *v.ReadsPerSecond != 15 || *v.WritesPerSecond != 5 || *v.RefusedPerSecond != 0.5 {
		t.Errorf("%v ops, %v reads, %v writes, %v refused", v.OpsPerSecond, *v.ReadsPerSecond, *v.WritesPerSecond, *v.RefusedPerSecond)
	}
	if v := at(s, 3, answer(1000, 0, 0)); v.ReadsPerSecond != nil { // CONFIG RESETSTAT
		t.Errorf("a counter was set back: %v", *v.ReadsPerSecond)
	}
}

// Redis rewrites when the log is larger than a floor and has grown by the
// percentage.
func TestSample_TellsWhenTheLogWillBeRewritten(t *testing.T) {
	for _, row := range []struct {
		percentage, floor string
		want              int64 // -1 is never
	}{
		{"100", "100", 2000}, {"50", "100", 1500}, {"100", "5000", 5001}, {"0", "100", -1}, {"", "", -1},
	} {
		s := &Sampler{config: map[string]string{"auto-aof-rewrite-percentage": row.percentage, "auto-aof-rewrite-min-size": row.floor}}
		at(s, 0, answer(1000, 0, 0))
		v := at(s, 10, answer(1200, 0, 0))
		switch {
		case row.want < 0:
			if v.RewriteAtBytes != nil {
				t.Errorf("%+v: at %d", row, *v.RewriteAtBytes)
			}
			continue
		case v.RewriteAtBytes == nil || *v.RewriteAtBytes != row.want:
			t.Fatalf("%+v: at %v", row, v.RewriteAtBytes)
		}
		// 200 bytes in ten seconds.
		if *v.AOFGrowthPerSecond != 20 || *v.AOFGrowthPercent != 20 || *v.RewriteInSeconds != float64(row.want-1200)/20 {
			t.Errorf("%+v: %v B/s, in %v s", row, *v.AOFGrowthPerSecond, *v.RewriteInSeconds)
		}
		if v := at(s, 11, answer(1000, 0, 0)); v.AOFGrowthPerSecond != nil {
			t.Errorf("just rewritten: %v B/s", *v.AOFGrowthPerSecond)
		}
	}
}

// The figures of the first look after a restart are not compared with those
// before it, and the commands of another server are asked for anew.
func TestSampler_ServerIsRestarted_BeginsAnew(t *testing.T) {
	server := testredis.Start(t, testredis.Options{})
	now := time.Unix(1000, 0)
	s := New(server.Client(), "it", func() time.Time { now = now.Add(time.Second); return now })
	ctx := context.Background()
	for range 2 {
		if _, err := s.Take(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if s.kinds["get"] != read || s.kinds["set"] != write || s.kinds["xinfo|stream"] != read || s.kinds["ping"] != neither {
		t.Errorf("%v", s.kinds)
	}
	server.Kill()
	if v, err := s.Take(ctx); err == nil || v.Up || v.Error == "" {
		t.Errorf("%+v, %v", v, err)
	}
	server.Restart()
	s.client = server.Client()
	v, err := s.Take(ctx)
	if err != nil || !v.Up || v.ReadsPerSecond != nil {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err = s.Take(ctx); err != nil || v.ReadsPerSecond == nil || s.Config("dbfilename") != "dump.rdb" {
		t.Errorf("%+v, %v", v, err)
	}
}

// A replica names its master, and whether they are connected.
func TestSampler_Replica_IsToldAsOne(t *testing.T) {
	master := testredis.Start(t, testredis.Options{Args: []string{"--repl-diskless-sync-delay", "0"}})
	server := testredis.Start(t, testredis.Options{})
	server.Do("REPLICAOF", "127.0.0.1", master.Port())
	s := New(server.Client(), "it", time.Now)
	deadline := time.Now().Add(20 * time.Second)
	for {
		v, err := s.Take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if v.Role == "replica" && v.Master == master.Addr() && *v.MasterLinkUp {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", v)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestReason_IsShort(t *testing.T) {
	for text, want := range map[string]string{
		"dial tcp 127.0.0.1:1: connect: connection refused": "connection refused", "EOF": "the connection was closed", "NOAUTH Authentication required.": "NOAUTH Authentication required.",
	} {
		if got := Reason(errors.New(text)); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := Reason(fmt.Errorf("x: %w", context.DeadlineExceeded)); got != "no answer in time" {
		t.Error(got)
	}
}
