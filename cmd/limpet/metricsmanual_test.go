package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"limpet/internal/api"
	"limpet/internal/metrics"
	"limpet/internal/testredis"
)

const (
	metricsManual = "../../docs/metrics.md"
	prometheusDir = "../../infra/prometheus"
)

// allMetrics is every metric of the program but those of Prometheus's own library.
func allMetrics() []*metrics.Metric { return append(metrics.All(), api.Metrics()...) }

// unitOf is the unit of a metric, as its name has it.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, unit := range []struct{ suffix, text string }{
		{"_timestamp_seconds", "Unix time"}, {"_seconds", "seconds"}, {"_bytes", "bytes"}, {"_ratio", "ratio"},
	} {
		if strings.HasSuffix(name, unit.suffix) {
			return unit.text
		}
	}
	return ""
}

// rowOf is the line of the manual's tables that describes a metric.
func rowOf(m *metrics.Metric) string {
	var labels []string
	for _, l := range m.Labels {
		labels = append(labels, "`"+l+"`")
	}
	field := ""
	if m.Field != "" {
		field = "`" + m.Field + "`"
	}
	row := fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |", m.Name, m.Type, unitOf(m.Name), strings.Join(labels, ", "), field, m.Help)
	return regexp.MustCompile(` +`).ReplaceAllString(row, " ")
}

// The tables of the manual have a line for every metric, and none besides.
func TestMetricsManual_DescribesEveryMetric(t *testing.T) {
	text, err := os.ReadFile(metricsManual)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	var names []string
	for _, m := range allMetrics() {
		names = append(names, m.Name)
		if row := rowOf(m); !slices.Contains(lines, row) {
			t.Errorf("%s has no line\n%s", metricsManual, row)
		}
	}
	for _, line := range lines {
		if name, found := strings.CutPrefix(line, "| `limpet_"); found {
			name, _, _ = strings.Cut(name, "`")
			if !slices.Contains(names, "limpet_"+name) {
				t.Errorf("%s describes limpet_%s, which there is not", metricsManual, name)
			}
		}
	}
}

type alertRule struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alertRule }
	}
	readYAML(t, filepath.Join(prometheusDir, "alerts.yml"), &file)
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) < 25 {
		t.Fatalf("only %d alerts", len(rules))
	}
	return rules
}

func readYAML(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Every alert is about metrics that there are, says how bad it is, what to type,
// which must be commands and flags that there are, and where to read on.
func TestAlerts_NameWhatThereIs(t *testing.T) {
	var known []string
	for _, m := range allMetrics() {
		known = append(known, m.Name)
	}
	manual, err := os.ReadFile(metricsManual)
	if err != nil {
		t.Fatal(err)
	}
	var c commands
	parser, err := newParser(&c, terminal{os.Stdout, os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string][]string{}
	for _, command := range parser.Model.Children {
		for _, f := range command.Flags {
			flags[command.Name] = append(flags[command.Name], "--"+f.Name)
		}
	}
	for _, r := range alertRules(t) {
		names := regexp.MustCompile(`limpet_[a-z0-9_]+`).FindAllString(r.Expr, -1)
		for _, name := range names {
			if !slices.Contains(known, name) {
				t.Errorf("%s is about %s, which nobody exports", r.Alert, name)
			}
		}
		if len(names) == 0 && !strings.HasPrefix(r.Expr, "up{") {
			t.Errorf("%s is about nothing", r.Alert)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" {
			t.Errorf("%s has no summary", r.Alert)
		}
		typed := regexp.MustCompile(`limpet ([a-z]+)((?: (?:--[a-z-]+|[A-Za-z]+))*)`).FindAllStringSubmatch(r.Annotations["description"], -1)
		ok := 0
		for _, m := range typed {
			if flags[m[1]] == nil {
				t.Errorf("%s names limpet %s, which there is not", r.Alert, m[1])
				continue
			}
			ok++
			for _, f := range regexp.MustCompile(`--[a-z-]+`).FindAllString(m[2], -1) {
				if !slices.Contains(flags[m[1]], f) {
					t.Errorf("%s names limpet %s %s, which there is not", r.Alert, m[1], f)
				}
			}
		}
		if ok == 0 {
			t.Errorf("%s says nothing to type: %s", r.Alert, r.Annotations["description"])
		}
		if want := "docs/metrics.md#" + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !strings.Contains(string(manual), "\n### "+r.Alert+"\n") {
			t.Errorf("%s has no section on %s", metricsManual, r.Alert)
		}
	}
}

// Each alert has a case in which it fires and one in which it does not, and
// promtool agrees with all of them.
func TestAlerts_FireWhenTheyShould(t *testing.T) {
	var file struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string
				ExpAlerts []any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, filepath.Join(prometheusDir, "alerts_test.yml"), &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, a := range test.AlertRuleTest {
			fires[a.Alertname] = fires[a.Alertname] || len(a.ExpAlerts) > 0
			silent[a.Alertname] = silent[a.Alertname] || len(a.ExpAlerts) == 0
		}
	}
	for _, r := range alertRules(t) {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: a test in which it fires: %v; in which it does not: %v", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Fatal("promtool not found: apt-get install --no-install-recommends prometheus")
	}
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "config", "compose.yml"}, {"test", "rules", "alerts_test.yml"}} {
		c := exec.Command("promtool", args...)
		c.Dir = prometheusDir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// The commands of docs/metrics.md run as they stand there, one after the other,
// against a real redis-server. What serves metrics gets a port of the system's
// choosing.
func TestMetricsManual_CommandsWork(t *testing.T) {
	text, err := os.ReadFile(metricsManual)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	data := filepath.Join(dir, "volumes", "redis")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	server := testredis.Start(t, testredis.Options{Dir: data, Args: withLog})
	fillAll(server)
	env := append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "PORT="+strconv.Itoa(server.Port()))
	ran, url := 0, ""
	for _, block := range strings.Split(string(text), "\n```console\n")[1:] {
		block, _, _ = strings.Cut(block, "\n```")
		for line := range strings.Lines(block) {
			line, typed := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !typed {
				continue
			}
			ran++
			if command, service := strings.CutSuffix(line, " &"); service {
				p := prepare(t, dir, "bash", "-c", "exec "+command)
				p.cmd.Env = append(slices.Clone(env), "LIMPET_METRICS_ADDR=127.0.0.1:0")
				p.start().says("metrics are served")
				url = regexp.MustCompile(`url=(\S+)/metrics`).FindStringSubmatch(p.out.String())[1]
				t.Cleanup(p.stop)
				continue
			}
			c := exec.Command("bash", "-o", "pipefail", "-c", strings.ReplaceAll(line, "http://127.0.0.1:9121", url))
			c.Dir, c.Env = dir, env
			if out, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		}
	}
	if ran < 5 {
		t.Errorf("only %d commands found", ran)
	}
}
