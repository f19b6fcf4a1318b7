package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"limpet/internal/testredis"
)

// scrape gets what a process serves at a path behind the address that its log has
// after a word. What it gets must pass Prometheus's linter.
func (p *process) scrape(word string) string {
	p.t.Helper()
	found := regexp.MustCompile(word + `=(http://[0-9.:]+)`).FindStringSubmatch(p.out.String())
	if found == nil {
		p.t.Fatalf("no address after %s:\n%s", word, p.out)
	}
	answer, err := http.Get(found[1] + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		p.t.Fatalf("%s: %v\n%s", answer.Status, err, text)
	}
	problems, err := promlint.New(strings.NewReader(string(text))).Lint()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, problem := range problems {
		p.t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	return string(text)
}

// wantLines compares some lines of a scrape; those behind "-" must not be there.
func wantLines(t *testing.T, when, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		line, absent := strings.CutPrefix(line, "-")
		if strings.Contains(text, "\n"+line) == absent {
			t.Errorf("%s: is there a line %q? %v", when, line, !absent)
		}
	}
}

// The exporter tells of a real Redis, its files, archive and backups; of the last
// three also when the server is killed. SIGTERM ends it in good order.
func TestExporter_OfARealServer_ThatIsKilled(t *testing.T) {
	dir := shortDir(t)
	real := testredis.Start(t, testredis.Options{Args: withLog})
	fillAll(real)
	backedUp := prepare(t, dir, binary, "backup", "--dir", real.Dir(), "--to", "backups").start()
	if code := backedUp.ends(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, backedUp.out)
	}
	archiver := prepare(t, dir, binary, "archive", "--dir", real.Dir(), "--to", "archive", "--metrics-addr", "127.0.0.1:0").start()
	eventually(t, "something is archived", func() bool {
		return strings.Contains(archiver.says("metrics are served").scrape("url"), "\nlimpet_archive_lag_seconds ")
	})
	wantLines(t, "archiver", archiver.scrape("url"), "limpet_archive_present 1", "limpet_archive_trouble 0", "limpet_directory_up 1", "limpet_manifest_sound 1", "-limpet_store_up")
	archiver.stop() // so that the lease says how far it is
	p := prepare(t, dir, binary, "exporter", "--store", "redis://"+real.Addr(), "--dir", real.Dir(), "--archive", "archive", "--backups", "backups", "--metrics-addr", "127.0.0.1:0").start()
	p.says("metrics are served")
	beside := []string{
		"limpet_directory_up 1", "limpet_manifest_sound 1", "limpet_orphan_files 0", "limpet_archive_up 1", "limpet_archive_present 1", "limpet_archive_stopped 1",
		"limpet_archive_lag_seconds ", "limpet_backups_up 1", "limpet_backups 1", "limpet_backup_last_timestamp_seconds ", "limpet_build_info{", "process_open_fds ",
	}
	wantLines(t, "alive", p.scrape("url"), append(beside, "limpet_store_up 1", "limpet_store_aof_enabled 1", `limpet_store_info{mode="standalone",role="master",server="redis"`)...)
	real.Kill()
	wantLines(t, "killed", p.scrape("url"), append(beside, "limpet_store_up 0", "-limpet_store_aof_enabled", "-limpet_store_info")...)
	p.says("no metrics of the store").stop()
}

func TestExporter_CannotBegin_SaysWhatToType(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for _, row := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"exporter"}, exitUsage, "want one or more of --store, --dir, --archive and --backups"},
		{[]string{"exporter", "--dir", ".", "--metrics-addr", "9121"}, exitUsage, "want HOST:PORT"},
		{[]string{"exporter", "--store", "host:6379"}, exitUsage, "--store: invalid URL scheme"},
		{[]string{"exporter", "--archive", "ftp://x", "--metrics-addr", "127.0.0.1:0"}, exitUsage, "ftp"},
		{[]string{"exporter", "--dir", ".", "--metrics-addr", l.Addr().String()}, exitLocal, "--metrics-addr HOST:PORT"},
		{[]string{"store", "--dir", "d", "--store-addr", "127.0.0.1:0", "--metrics-addr", l.Addr().String()}, exitLocal, "Nothing has been changed"},
		{[]string{"store", "--metrics-addr", "here"}, exitUsage, "want HOST:PORT"},
		{[]string{"archive", "--to", "t", "--dir", "d", "--metrics-addr", l.Addr().String()}, exitLocal, "--metrics-addr HOST:PORT"},
	} {
		p := prepare(t, shortDir(t), binary, row.args...).start()
		if code := p.ends(); code != row.code || !strings.Contains(p.out.String(), row.says) {
			t.Errorf("%v: code %d, want %d and %q:\n%s", row.args, code, row.code, row.says, p.out)
		}
	}
}

// Our own store tells of itself, its syncs, its files and its archive, alone and
// within the whole service.
func TestMetrics_OfOurOwnStore(t *testing.T) {
	for name, row := range map[string]struct {
		args  []string
		ready string
		word  string
		lines []string
	}{
		"store": {[]string{"store", "--metrics-addr", "127.0.0.1:0", "--appendfilename", "own.aof"}, "ready for Redis clients", "url", []string{"-limpet_seeds"}},
		"up":    {[]string{"up", "--api-addr", "127.0.0.1:0"}, "ready api", "api", []string{`limpet_seeds{status="running"} 0`, `limpet_audits_total{result="clean"} 0`, "limpet_audit_differences_total 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			p := prepare(t, dir, binary, append([]string{row.args[0], "--dir", filepath.Join(dir, "d"), "--store-addr", "127.0.0.1:0", "--archive", filepath.Join(dir, "a")}, row.args[1:]...)...).start()
			p.says(row.ready)
			eventually(t, "it is archived", func() bool { return strings.Contains(p.scrape(row.word), "\nlimpet_archive_lag_seconds ") })
			wantLines(t, name, p.scrape(row.word), append(row.lines,
				"limpet_store_up 1", `limpet_store_info{mode="standalone",role="master",server="limpet"`, `limpet_store_appendfsync_info{appendfsync="everysec"} 1`,
				"limpet_store_unsynced_seconds ", "limpet_store_last_sync_timestamp_seconds ", "limpet_directory_up 1", "limpet_manifest_present 1", "limpet_manifest_sound 1",
				"limpet_disk_free_bytes ", "limpet_disk_need_bytes ", "limpet_archive_up 1", "limpet_archive_present 1", "limpet_build_info{", "go_goroutines ")...)
			p.stop()
		})
	}
}
