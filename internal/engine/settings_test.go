package engine

import (
	"errors"
	"strings"
	"testing"

	"limpet/internal/command"
	"limpet/vfs"
)

// A renamed command is logged by its own name: the log is read without the
// renaming, and by others.
func TestRename_OldNamesAreUnknown_AndTheLogHasThem(t *testing.T) {
	fsys := vfs.NewMem()
	renamed := map[string]string{"set": "", "put": "set", "keys": "", "get": "del", "del": "get"}
	e := start(t, fsys, Options{Fsync: Always, Limits: command.Limits{Renamed: renamed}})
	c := connect(t, e)
	c.must("PUT", "k", "1")
	for _, words := range [][]string{{"SET", "k", "2"}, {"keys", "*"}} {
		if _, err := c.do(words...); err == nil || !strings.HasPrefix(err.Error(), "ERR unknown command '"+words[0]+"'") {
			t.Errorf("%v: %v", words, err)
		}
	}
	if got := c.must("Del", "k"); got != "1" {
		t.Errorf("DEL, which is GET here: %q", got)
	}
	c.must("MULTI")
	c.must("put", "in-multi", "2")
	c.must("EXEC")
	c.must("EVAL", "return redis.call('put', 'in-script', '3')", "0")
	if _, err := c.do("EVAL", "return redis.call('set', 'x', '4')", "0"); err == nil {
		t.Error("a script may use a name that is gone")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	c = connect(t, start(t, fsys, Options{}))
	for key, want := range map[string]string{"k": "1", "in-multi": "2", "in-script": "3"} {
		if got := c.must("GET", key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

func TestConfigure_SettingsOfTheServerAreAnsweredByIt(t *testing.T) {
	e := start(t, vfs.NewMem(), Options{})
	value := "a"
	e.Configure(
		Setting{Name: "zz-last", Get: func() string { return value }, Set: func(v string) error {
			if v == "bad" {
				return errors.New("no such thing")
			}
			value = v
			return nil
		}},
		Setting{Name: "bind", Get: func() string { return "1.2.3.4" }},
	)
	c := connect(t, e)
	c.must("CONFIG", "SET", "zz-last", "b", "appendfsync", "always")
	v, _ := c.exec("CONFIG", "GET", "zz-*", "bind")
	if got := []string{v.Elems[1].Text(), v.Elems[3].Text()}; got[0] != "1.2.3.4" || got[1] != "b" {
		t.Errorf("%q", got)
	}
	if _, err := c.do("CONFIG", "SET", "zz-last", "c", "zz-last2", "x"); err == nil || value != "b" {
		t.Errorf("%v, %q", err, value)
	}
	if _, err := c.do("CONFIG", "SET", "appendfsync", "no", "zz-last", "bad"); err == nil || !strings.HasSuffix(err.Error(), "(possibly related to argument 'zz-last') - no such thing") {
		t.Error(err)
	}
	if _, err := c.do("CONFIG", "SET", "bind", "x"); err == nil || !strings.Contains(err.Error(), "immutable") {
		t.Error(err)
	}
	if v, _ := c.exec("CONFIG", "GET", "appendfsync"); v.Elems[1].Text() != "always" {
		t.Error("what was set before the refusal has stayed")
	}
}

func TestLimits_MinusOneIsZero(t *testing.T) {
	o := Options{Limits: command.Limits{HashEntries: -1, ListNodeSize: -3}}.withDefaults()
	if o.Limits.HashEntries != 0 || o.Limits.HashValue != 64 || o.Limits.ListNodeSize != -3 {
		t.Errorf("%+v", o.Limits)
	}
}
