package parity

import (
	"slices"
	"sort"
	"strings"
	"testing"

	"limpet/resp"
)

// oursAlone are commands that came to Redis after 7.0 and are answered because
// client libraries send them.
var oursAlone = []string{"client|setinfo"}

// COMMAND INFO: what a client library plans its requests by is what it would be
// told by the real server. Tips and key specifications are left empty.
func TestCommandInfo_NamesAritiesFlagsKeysAndCategoriesAreTheRealOnes(t *testing.T) {
	p := startPair(t)
	names := commandNames(t, p.ours)
	if len(names) < 150 {
		t.Fatalf("only %d commands", len(names))
	}
	for _, name := range names {
		args := [][]byte{[]byte("COMMAND"), []byte("INFO"), []byte(name)}
		real, ours := commandInfo(t, p.real.do(args...)), commandInfo(t, p.ours.do(args...))
		switch {
		case slices.Contains(oursAlone, name):
			if real != "" {
				t.Errorf("%s: the real server has it: %s", name, real)
			}
		case real == "":
			t.Errorf("%s: not in the real server", name)
		case real != ours:
			t.Errorf("%s:\n  redis:  %s\n  limpet: %s", name, real, ours)
		}
	}
}

// commandNames are the commands and subcommands that a server lists.
func commandNames(t *testing.T, c *client) (names []string) {
	all, _, err := resp.Decode(c.do([]byte("COMMAND")))
	if err != nil || len(all.Elems) == 0 {
		t.Fatalf("COMMAND: %v, %d", err, len(all.Elems))
	}
	count, _, _ := resp.Decode(c.do([]byte("COMMAND"), []byte("COUNT")))
	if int(count.Int) != len(all.Elems) {
		t.Errorf("COMMAND gives %d, COMMAND COUNT %d", len(all.Elems), count.Int)
	}
	for _, cmd := range all.Elems {
		names = append(names, cmd.Elems[0].Text())
		for _, sub := range cmd.Elems[9].Elems {
			names = append(names, sub.Elems[0].Text())
		}
	}
	list := texts(c.do([]byte("COMMAND"), []byte("LIST")))
	slices.Sort(list)
	slices.Sort(names)
	if !slices.Equal(names, list) {
		t.Errorf("COMMAND has %q, COMMAND LIST %q", names, list)
	}
	return names
}

// commandInfo is the part of COMMAND INFO that is compared, in one line; "" for
// an unknown command. Flags and categories have no order.
func commandInfo(t *testing.T, reply []byte) string {
	v, _, err := resp.Decode(reply)
	if err != nil || len(v.Elems) != 1 {
		t.Fatalf("COMMAND INFO: %q", reply)
	}
	cmd := v.Elems[0]
	if cmd.IsNull() {
		return ""
	}
	if len(cmd.Elems) != 10 {
		t.Fatalf("COMMAND INFO: %d fields", len(cmd.Elems))
	}
	set := func(i int) string {
		var all []string
		for _, e := range cmd.Elems[i].Elems {
			all = append(all, string(e.Kind)+e.Text())
		}
		sort.Strings(all)
		return "{" + strings.Join(all, " ") + "}"
	}
	line := []string{cmd.Elems[0].Text(), cmd.Elems[1].Text(), set(2)}
	for _, i := range []int{3, 4, 5} {
		line = append(line, cmd.Elems[i].Text())
	}
	return strings.Join(append(line, set(6)), " ")
}

func TestCommandInfo_UnknownNamesAndSubcommands_AnsweredAlike(t *testing.T) {
	p := startPair(t)
	for _, proto := range []string{"2", "3"} {
		p.both(words(t, "HELLO "+proto)...)
		for _, line := range []string{
			"COMMAND INFO nosuch", "COMMAND INFO nosuch get|x client|nosuch", "COMMAND DOCS nosuch",
			"COMMAND LIST FILTERBY PATTERN nosuch*", "COMMAND LIST FOO", "COMMAND LIST FILTERBY FOO bar",
			"COMMAND LIST FILTERBY MODULE nosuch", "COMMAND LIST FILTERBY ACLCAT nosuch",
		} {
			if err := check(0, p.real.do(words(t, line)...), p.ours.do(words(t, line)...)); err != nil {
				t.Errorf("%s%v", line, err)
			}
		}
		for _, line := range []string{"COMMAND LIST FILTERBY PATTERN xle*", "COMMAND LIST FILTERBY PATTERN HG*L",
			"COMMAND LIST FILTERBY ACLCAT transaction", "COMMAND LIST FILTERBY PATTERN expire*"} {
			if err := check('~', p.real.do(words(t, line)...), p.ours.do(words(t, line)...)); err != nil {
				t.Errorf("%s%v", line, err)
			}
		}
	}
}

// COMMAND DOCS gives a map from names to maps which hold at least what a
// client's help shows.
func TestCommandDocs_EveryCommandHasSummarySinceAndTheRealGroup(t *testing.T) {
	p := startPair(t)
	p.both([]byte("HELLO"), []byte("3"))
	real, _, errReal := resp.Decode(p.real.do([]byte("COMMAND"), []byte("DOCS")))
	ours, _, errOurs := resp.Decode(p.ours.do([]byte("COMMAND"), []byte("DOCS")))
	if errReal != nil || errOurs != nil || ours.Kind != resp.MapReply {
		t.Fatal(errReal, errOurs, ours.Kind)
	}
	compareDocs(t, real, ours)
}

func compareDocs(t *testing.T, real, ours resp.Value) {
	known := map[string]resp.Value{}
	for i := 0; i < len(real.Elems); i += 2 {
		known[real.Elems[i].Text()] = real.Elems[i+1]
	}
	for i := 0; i < len(ours.Elems); i += 2 {
		name, doc := ours.Elems[i].Text(), ours.Elems[i+1]
		if slices.Contains(oursAlone, name) {
			continue
		}
		want, ok := known[name]
		if !ok {
			t.Errorf("%s: the real server has no such entry", name)
			continue
		}
		if docField(doc, "summary").Text() == "" {
			t.Errorf("%s: no summary", name)
		}
		for _, field := range []string{"since", "group"} {
			if got, want := docField(doc, field).Text(), docField(want, field).Text(); got != want {
				t.Errorf("%s: %s is %q, want %q", name, field, got, want)
			}
		}
		compareDocs(t, docField(want, "subcommands"), docField(doc, "subcommands"))
	}
}

func docField(doc resp.Value, name string) resp.Value {
	for i := 0; i+1 < len(doc.Elems); i += 2 {
		if doc.Elems[i].Text() == name {
			return doc.Elems[i+1]
		}
	}
	return resp.Value{Kind: resp.NullReply}
}
