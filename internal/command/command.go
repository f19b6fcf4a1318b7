package command

import "strings"

// Flags say what a command may do and when it may run. Names as in COMMAND INFO.
type Flags uint32

const (
	Write Flags = 1 << iota
	ReadOnly
	DenyOOM
	Admin
	PubSub
	NoScript
	Blocking
	Loading
	Stale
	SkipMonitor
	SkipSlowlog
	Asking
	Fast
	NoAuth
	NoMulti
	MovableKeys
	AllowBusy
	NoAsyncLoading
	NoMandatoryKeys
	Dangerous  // not printed as a flag: adds the category @dangerous
	Privileged // not printed as a flag: adds the categories @admin and @dangerous
)

// flagNames in the order in which COMMAND INFO prints them.
var flagNames = []struct {
	flag Flags
	name string
}{
	{Write, "write"}, {ReadOnly, "readonly"}, {DenyOOM, "denyoom"}, {Admin, "admin"},
	{PubSub, "pubsub"}, {NoScript, "noscript"}, {Blocking, "blocking"}, {Loading, "loading"},
	{Stale, "stale"}, {SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Asking, "asking"},
	{Fast, "fast"}, {NoAuth, "no_auth"}, {NoMulti, "no_multi"},
	{MovableKeys, "movablekeys"}, {AllowBusy, "allow_busy"}, {NoAsyncLoading, "no_async_loading"},
	{NoMandatoryKeys, "no_mandatory_keys"},
}

// Keys says where a command's keys are: the first and last position among the
// arguments (negative counts from the end) and the step between them. The zero
// value means no keys at fixed positions.
type Keys struct{ First, Last, Step int }

// Handler runs one command. The number of arguments has been checked against
// Arity; everything else is the handler's own care.
type Handler func(c *Ctx)

// Command is a row of the table.
type Command struct {
	Name  string // lower case; a subcommand's is "client|id"
	Arity int    // number of arguments with the name; -n means at least n
	Flags Flags
	Keys  Keys
	Group string // string, generic, hash, list, set, sorted-set, stream, …
	Since string // the release of Redis that has it first
	Doc   string // one sentence, ours

	id      int // place in a unit's counters
	Handler Handler
	Subs    []*Command // CLIENT ID, CONFIG GET, …
}

// Is tells whether all the given flags are set.
func (c *Command) Is(f Flags) bool { return c.Flags&f == f }

// arityFits tells whether n arguments, the name included, are acceptable.
func (c *Command) arityFits(n int) bool {
	if c.Arity < 0 {
		return n >= -c.Arity
	}
	return n == c.Arity
}

// sub finds a subcommand by its second word.
func (c *Command) sub(word []byte) *Command {
	for _, s := range c.Subs {
		if _, name, _ := strings.Cut(s.Name, "|"); equalFold(word, name) {
			return s
		}
	}
	return nil
}

// table has every command by its lower-case name. It is complete once the
// package is initialised and does not change afterwards.
var (
	table = map[string]*Command{}
	ids   int
)

func register(group string, rows ...*Command) {
	for _, c := range rows {
		for _, one := range append([]*Command{c}, c.Subs...) {
			one.Group, one.id = group, ids
			ids++
		}
		table[c.Name] = c
	}
}

// Lookup finds a command by name in any case, nil when there is none.
func Lookup(name []byte) *Command {
	var low [32]byte
	if len(name) > len(low) {
		return nil
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return table[string(low[:len(name)])]
}

// equalFold compares b with a lower-case ASCII word in any case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Stateful tells that the command changes or depends on the connection that
// sends it, so that it makes no sense without one.
func (c *Command) Stateful() bool {
	switch c.Name {
	case "select", "multi", "exec", "discard", "watch", "unwatch", "auth", "hello", "quit", "reset", "client":
		return true
	}
	return false
}
