package drill

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"limpet/internal/digest"
	"limpet/internal/hotcopy"
	"limpet/internal/testredis"
)

func find(t *testing.T) *Redis {
	t.Helper()
	r := Find(context.Background())
	if r == nil {
		t.Fatal("redis-server not found: apt-get install redis-server")
	}
	r.Sockets = t.TempDir()
	return r
}

// Keys whose deadline has passed since are still there, in a log as in a dump:
// what is found does not depend on when one looks.
func TestLoad_DeadlineHasPassed_KeyIsStillThere(t *testing.T) {
	for _, kind := range []hotcopy.Kind{hotcopy.AOF, hotcopy.RDB} {
		args := []string{"--appendonly", "no"}
		if kind == hotcopy.AOF {
			args = []string{"--appendonly", "yes"}
		}
		server := testredis.Start(t, testredis.Options{Args: args})
		server.Do("DEBUG", "SET-ACTIVE-EXPIRE", "0")
		server.Do("SET", "short", "v", "PX", 1)
		server.Do("SET", "long", "v")
		server.Do("SAVE")
		server.Kill()
		time.Sleep(5 * time.Millisecond) // the deadline is of the real clock
		dump, err := find(t).Load(context.Background(), server.Dir(), hotcopy.LayoutOf(kind))
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(dump)
		if err != nil {
			t.Fatal(err)
		}
		sum, _, err := digest.Of(f)
		_ = f.Close()
		if err != nil || sum.Keys() != 2 || sum.Databases[0].Volatile != 1 {
			t.Errorf("%s: %+v, %v", kind, sum, err)
		}
	}
}

func TestLoad_DirectoryThatItRefuses_TellsWhatItSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), []byte("REDIS0010 and then rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := find(t)
	_, err := r.Load(context.Background(), dir, hotcopy.LayoutOf(hotcopy.RDB))
	if err == nil || !strings.Contains(err.Error(), "it ended at start") || !strings.Contains(err.Error(), "RDB") {
		t.Errorf("got %v", err)
	}
	if r.Name() == "redis-server 7.0.15" && r.Reads() != 10 {
		t.Errorf("%s reads up to %d", r.Name(), r.Reads())
	}
}
