package parity

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"limpet/internal/testredis"
	"limpet/resp"
)

// startLoggingPair is startPair with appendonly yes on both sides.
func startLoggingPair(t *testing.T) *pair {
	t.Helper()
	redis := testredis.Start(t, testredis.Options{Args: []string{"--appendonly", "yes"}})
	return &pair{t: t, real: dial(t, "redis", redis.Addr()), ours: dial(t, "limpet", startLimpet(t, t.TempDir(), nil))}
}

// section is a part of INFO: its name and its fields in order.
type section struct {
	name   string
	fields [][2]string
}

func infoOf(t *testing.T, c *client, args string) (sections []section) {
	t.Helper()
	v, _, err := resp.Decode(c.do(words(t, "INFO "+args)...))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(v.Text(), "\r\n") {
		if name, ok := strings.CutPrefix(line, "# "); ok {
			sections = append(sections, section{name: name})
		} else if name, value, ok := strings.Cut(line, ":"); ok && len(sections) > 0 {
			last := &sections[len(sections)-1]
			last.fields = append(last.fields, [2]string{name, value})
		} else if line != "" {
			t.Errorf("%s: INFO %s: stray line %q", c.name, args, line)
		}
	}
	return sections
}

func names(s section) (all []string) {
	for _, f := range s.fields {
		all = append(all, f[0])
	}
	return all
}

// ownSection is what no real server tells. It stands behind all others and only
// where everything is asked for, as a module's does.
const ownSection = "Limpet"

func TestInfo_SectionsAreTheRealOnes(t *testing.T) {
	p := startLoggingPair(t)
	p.both([]byte("SET"), []byte("k"), []byte("v"))
	for _, args := range []string{"", "default", "all", "everything", "persistence", "Persistence", "server clients",
		"clients server", "keyspace cpu nosuch", "nosuch", "commandstats", "memory memory"} {
		var real, ours []string
		for _, s := range infoOf(t, p.real, args) {
			real = append(real, s.name)
		}
		for _, s := range infoOf(t, p.ours, args) {
			ours = append(ours, s.name)
		}
		if args == "all" || args == "everything" {
			real = append(real, ownSection)
		}
		if !slices.Equal(real, ours) {
			t.Errorf("INFO %s:\n  redis:  %q\n  limpet: %q", args, real, ours)
		}
	}
}

// Monitoring reads the persistence section by name and by place, so it is the
// real one's line for line; values are of the same form.
func TestInfoPersistence_FieldsAndTheirOrderAreTheRealOnes(t *testing.T) {
	p := startLoggingPair(t)
	for _, step := range []string{"", "SET k v", "BGREWRITEAOF", "SAVE"} {
		if step != "" {
			p.both(words(t, step)...)
		}
		real, ours := infoOf(t, p.real, "persistence")[0], infoOf(t, p.ours, "persistence")[0]
		if !slices.Equal(names(real), names(ours)) {
			t.Fatalf("after %q:\n  redis:  %q\n  limpet: %q", step, names(real), names(ours))
		}
		for i := range real.fields {
			if a, b := form(real.fields[i][1]), form(ours.fields[i][1]); a != b {
				t.Errorf("after %q: %s:%s, real %s", step, ours.fields[i][0], ours.fields[i][1], real.fields[i][1])
			}
		}
	}
}

// Of the other sections we have what means something here, under the real names
// and in their order.
func TestInfo_EveryFieldIsARealOneOfTheSameForm(t *testing.T) {
	p := startLoggingPair(t)
	p.both([]byte("SET"), []byte("k"), []byte("v"))
	known := map[string]section{}
	for _, s := range infoOf(t, p.real, "everything") {
		known[s.name] = s
	}
	for _, s := range infoOf(t, p.ours, "everything") {
		if s.name == "Commandstats" || s.name == "Latencystats" || s.name == ownSection {
			continue // one field for each command that was called; what is ours alone
		}
		real, at := known[s.name], 0
		for _, f := range s.fields {
			i := slices.Index(names(real)[at:], f[0])
			if i < 0 {
				t.Errorf("%s: %s is not in the real one, or not in this place", s.name, f[0])
				continue
			}
			at += i + 1
			if want := real.fields[at-1][1]; form(f[1]) != form(want) {
				t.Errorf("%s: %s:%s, real %s", s.name, f[0], f[1], want)
			}
		}
	}
}

var (
	integerForm = regexp.MustCompile(`^-?\d+$`)
	decimalForm = regexp.MustCompile(`^-?\d+\.\d+$`)
	humanForm   = regexp.MustCompile(`^\d+(\.\d+)?[BKMG]$`)
	pairForm    = regexp.MustCompile(`^\w+=\d+(\.\d+)?(,\w+=\d+(\.\d+)?)*$`)
)

// form is what a reader of a value relies on.
func form(value string) string {
	switch {
	case integerForm.MatchString(value):
		return "integer"
	case decimalForm.MatchString(value):
		return "decimal"
	case humanForm.MatchString(value):
		return "size"
	case pairForm.MatchString(value):
		return "pairs"
	case value == "yes" || value == "no":
		return "yes or no"
	}
	return "text"
}

// configOfOurs are settings whose value differs from a fresh real server's, and
// why.
var configOfOurs = map[string]string{
	"appendonly": "the store is its log",
	"bind":       "what it listens on is the caller's",
	"dir":        "its own",
	"port":       "what it listens on is the caller's",
}

func TestConfigGet_EverySettingIsARealOneWithItsDefault(t *testing.T) {
	p := startPair(t)
	values := func(c *client) map[string]string {
		list := texts(c.do([]byte("CONFIG"), []byte("GET"), []byte("*")))
		m := map[string]string{}
		for i := 0; i+1 < len(list); i += 2 {
			m[list[i]] = list[i+1]
		}
		return m
	}
	real, ours := values(p.real), values(p.ours)
	if len(ours) < 20 {
		t.Errorf("only %d settings", len(ours))
	}
	for name, value := range ours {
		want, ok := real[name]
		switch {
		case !ok:
			t.Errorf("%s: the real server has no such setting", name)
		case value == want && configOfOurs[name] != "":
			t.Errorf("%s is %q, as in the real server: not a difference", name, value)
		case form(value) != form(want) && configOfOurs[name] == "":
			t.Errorf("%s %q: real %q", name, value, want)
		case value != want && configOfOurs[name] == "":
			t.Errorf("%s is %q by default, real %q", name, value, want)
		}
	}
}
