package metrics

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"limpet/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scrape is what a scraper gets, by name and labels, as in a{b="c"}. The names and
// types must pass Prometheus's own linter.
type scrape map[string]float64

func scraped(t *testing.T, c *Collector) scrape {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	must(t, r.Register(c))
	families, err := r.Gather()
	must(t, err)
	problems, err := testutil.GatherAndLint(r)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	found := scrape{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			found[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return found
}

// want compares some of it; the value "absent" is for what must not be there.
func (s scrape) want(t *testing.T, when string, values map[string]any) {
	t.Helper()
	for name, value := range values {
		got, there := s[name]
		switch {
		case value == "absent" && there:
			t.Errorf("%s: %s is %v, and should not be there", when, name, got)
		case value != "absent" && !there:
			t.Errorf("%s: no %s", when, name)
		case value != "absent" && fmt.Sprint(got) != fmt.Sprint(value):
			t.Errorf("%s: %s is %v, want %v", when, name, got, value)
		}
	}
}

// names is what there is, without values.
func (s scrape) names() (names []string) {
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// deadline is how long a test waits for what must happen.
const deadline = 30 * time.Second

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	timeout := time.After(deadline)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-timeout:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// lay writes files below a directory.
func lay(t *testing.T, fsys vfs.FS, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, name)
		must(t, fsys.MkdirAll(filepath.Dir(name), 0o755))
		f, err := vfs.Create(fsys, name)
		must(t, err)
		_, err = io.WriteString(f, text)
		must(t, errors.Join(err, f.Close()))
	}
}
