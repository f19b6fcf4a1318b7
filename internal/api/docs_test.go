package api

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"limpet/internal/testredis"
)

const manual = "../../docs/api.md"

// Every example of docs/api.md is run, in the order of the page, against one
// server, and must answer what the page says. Times may differ. A member "…" of
// an object stands for others that the page leaves out. Between the examples,
// comments of the form <!-- test: verb arguments --> move the crawl on.
func TestManual_ExamplesAnswerWhatItSays(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl not found: apt-get install curl")
	}
	f := startOn(testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}}), t)
	examples := 0
	for _, s := range readManual(t) {
		if s.directive != "" {
			f.obey(s.directive)
			continue
		}
		examples++
		command := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(s.command, "http://localhost:3001", f.http.URL))
		got, err := command.Output()
		var failed *exec.ExitError
		if err != nil && !errors.As(err, &failed) {
			t.Fatal(err)
		}
		want := readOutput(s.output, nil)
		if diff := cmp.Diff(want, readOutput(string(got), want)); diff != "" {
			t.Errorf("%s:%d: $ %s\n(-manual +answer)\n%s\nanswer: %s", manual, s.line, s.command, diff, got)
		}
	}
	if examples < 15 {
		t.Errorf("only %d examples found", examples)
	}
}

func TestManual_NamesEveryRouteAndMetric(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	a := &api{Options: Options{Logger: (&fixture{}).logger()}}
	a.meters = newMeters(a)
	for _, r := range a.routes() {
		if !strings.Contains(string(text), "`"+r.pattern) {
			t.Errorf("%s does not describe %s", manual, r.pattern)
		}
	}
	for _, m := range Metrics() {
		if !strings.Contains(string(text), "`"+m.Name) {
			t.Errorf("%s does not describe the metric %s", manual, m.Name)
		}
	}
}

// step is an example, or a directive between two.
type step struct {
	line      int
	command   string
	output    string
	directive string
}

var directive = regexp.MustCompile(`^<!-- test: (.*) -->$`)

func readManual(t *testing.T) (steps []step) {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	inside, goesOn := false, false
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		bare := strings.TrimRight(line, "\n")
		switch m := directive.FindStringSubmatch(bare); {
		case m != nil:
			steps = append(steps, step{directive: m[1]})
		case !inside:
			inside = bare == "```console"
		case bare == "```":
			inside = false
		case goesOn:
			steps[len(steps)-1].command += line
			goesOn = strings.HasSuffix(bare, `\`)
		case strings.HasPrefix(line, "$ "):
			steps = append(steps, step{line: n, command: strings.TrimPrefix(line, "$ ")})
			goesOn = strings.HasSuffix(bare, `\`)
		default:
			steps[len(steps)-1].output += line
		}
	}
	return steps
}

// obey carries out a directive.
func (f *fixture) obey(d string) {
	f.t.Helper()
	words := strings.Fields(d)
	switch words[0] {
	case "crawl": // seed, then the links that the page has
		f.crawl(words[1], 1, words[2:]...)
	case "fail": // seed, then why
		f.fail(words[1], strings.Join(words[2:], " "))
	case "claim": // seed
		f.claim(words[1])
	case "set": // key and value
		f.store.Do("SET", words[1], words[2])
	case "stop-writes":
		f.stopWrites()
	default:
		f.t.Fatalf("unknown directive %q", d)
	}
}

var moment = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)

// readOutput reads a series of JSON values, or else lines. What the model leaves
// out by "…" is left out.
func readOutput(text string, model any) any {
	text = moment.ReplaceAllString(text, "TIME")
	decoder := json.NewDecoder(strings.NewReader(text))
	var values []any
	for {
		var v any
		err := decoder.Decode(&v)
		if err == io.EOF {
			return abridge(values, model)
		}
		if err != nil {
			return strings.Split(strings.TrimSpace(text), "\n")
		}
		values = append(values, v)
	}
}

// abridge takes from v what a member "…" of the model stands for.
func abridge(v, model any) any {
	switch m := model.(type) {
	case []any:
		list, ok := v.([]any)
		if !ok || len(list) != len(m) {
			return v
		}
		for i := range list {
			list[i] = abridge(list[i], m[i])
		}
	case map[string]any:
		object, ok := v.(map[string]any)
		if !ok {
			return v
		}
		rest, abridged := m["…"]
		for name := range object {
			if member, known := m[name]; known {
				object[name] = abridge(object[name], member)
			} else if abridged {
				delete(object, name)
			}
		}
		if abridged {
			object["…"] = rest
		}
	}
	return v
}
