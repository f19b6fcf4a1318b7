package info

import (
	"strings"
	"testing"
	"time"
)

const answer = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n\r\n" +
	"# Persistence\r\nloading:0\r\naof_enabled:0\r\nrdb_changes_since_last_save:12\r\naof_last_write_status:err\r\naof_delayed_fsync:3\r\nrdb_last_save_time:1000\r\naof_from_the_future:1\r\n\r\n" +
	"# Keyspace\r\ndb0:keys=10,expires=3,avg_ttl=0\r\ndb7:keys=1,expires=0,avg_ttl=0,subexpiry=0\r\n"

func TestParse_ReadsFieldsAndSections(t *testing.T) {
	i := Parse(answer)
	if i.Server() != "valkey 8.0.1" || i.Ours() || i.Flag("aof_enabled") || i.Number("rdb_changes_since_last_save") != 12 {
		t.Errorf("%q, %v", i.Server(), i)
	}
	if keys, volatile := i.Keys(); keys != 11 || volatile != 3 {
		t.Errorf("%d keys, %d volatile", keys, volatile)
	}
	if got := strings.Join(i.Section("Persistence"), " "); !strings.HasPrefix(got, "loading aof_enabled ") {
		t.Error(got)
	}
	if _, ok := i.Int("aof_last_write_status"); ok || i.Has("nothing") || i.Text("nothing") != "" {
		t.Error("a word is no number, and nothing is nothing")
	}
	if got := (Info{}).Server(); got != "unknown server" {
		t.Error(got)
	}
}

func TestExplain_JudgesAndSaysWhatToDo(t *testing.T) {
	want := map[string]Verdict{
		"loading": Fact, "aof_enabled": Bad, "rdb_changes_since_last_save": Watch, "aof_last_write_status": Bad,
		"aof_delayed_fsync": Watch, "rdb_last_save_time": Fact, "aof_from_the_future": Unknown,
	}
	fields := Explain(Parse(answer), time.Unix(1060, 0))
	if len(fields) != len(want) {
		t.Errorf("%d fields", len(fields))
	}
	for _, f := range fields {
		if f.Verdict != want[f.Name] {
			t.Errorf("%s is %s, want %s", f.Name, f.Verdict, want[f.Name])
		}
		if needs := f.Verdict == Bad || f.Verdict == Watch; f.Means == "" || needs != (f.Do != "") {
			t.Errorf("%+v", f)
		}
		if f.Name == "rdb_last_save_time" && f.Reads != "1970-01-01 00:16:40 UTC, 1m0s ago" {
			t.Error(f.Reads)
		}
	}
	if got := Summary(fields); got != "2 bad, 2 watch, 2 fact, 1 unknown" {
		t.Error(got)
	}
}

// Every value that is bad in one way or another says what to do, and a name is
// explained once.
func TestRules_AreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rules {
		if seen[r.name] || r.means == "" {
			t.Errorf("%s", r.name)
		}
		seen[r.name] = true
		if r.judge == nil {
			continue
		}
		for _, value := range []string{"0", "1", "ok", "err", "-1", "999999999999"} {
			i := Parse("# Persistence\n" + r.name + ":" + value + "\n")
			f := explain(r.name, subject{i, time.Unix(0, 0)})
			if (f.Verdict == Bad || f.Verdict == Watch) != (f.Do != "") {
				t.Errorf("%s:%s: %+v", r.name, value, f)
			}
		}
	}
}

func TestBytes_ForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 64 << 20: "64.0 MiB", 5 << 40: "5.0 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
