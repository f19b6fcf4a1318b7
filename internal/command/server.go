package command

import (
	"iter"
	"slices"
	"sort"
	"strings"

	"limpet/internal/glob"
	"limpet/internal/zset"
)

// Host answers for what lies beyond the keyspace: the log, the files, the
// settings, the other connections. The engine is the host. Methods that can be
// refused give back a wire error, "" when they were done.
type Host interface {
	Sessions() iter.Seq[*Session]
	Info(sections []string) string
	ConfigGet(patterns []string) []string // name and value in turn
	ConfigSet(pairs []string) (wireError string)
	ConfigResetStat()
	Rewrite() (status, wireError string) // BGREWRITEAOF
	Save() (wireError string)            // SAVE
	BackgroundSave(schedule bool) (status, wireError string)
	LastSave() int64 // Unix seconds
	Shutdown(s *Session, o ShutdownOptions) (wireError string)
	Sleep(seconds float64)               // DEBUG SLEEP
	ScriptLog(level int, message string) // redis.log
}

// ShutdownOptions are SHUTDOWN's words.
type ShutdownOptions struct{ Save, NoSave, Now, Force, Abort bool }

func init() {
	admin := NoScript | Admin | Loading | Stale
	register("server",
		&Command{Name: "info", Arity: -1, Flags: Loading | Stale | Dangerous, Since: "1.0.0", Doc: "Tells about the server in sections.", Handler: info},
		&Command{Name: "time", Arity: 1, Flags: Loading | Stale | Fast, Since: "2.6.0", Doc: "Gives the server's time in seconds and microseconds.", Handler: timeOf},
		&Command{Name: "bgrewriteaof", Arity: 1, Flags: NoScript | Admin | NoAsyncLoading, Since: "1.0.0", Doc: "Starts to rewrite the log.", Handler: rewrite},
		&Command{Name: "save", Arity: 1, Flags: NoScript | Admin | NoAsyncLoading | NoMulti, Since: "1.0.0", Doc: "Writes dump.rdb and waits for it.", Handler: save},
		&Command{Name: "bgsave", Arity: -1, Flags: NoScript | Admin | NoAsyncLoading, Since: "1.0.0", Doc: "Starts to write dump.rdb.", Handler: bgsave},
		&Command{Name: "lastsave", Arity: 1, Flags: Loading | Stale | Fast | Privileged, Since: "1.0.0", Doc: "Gives the Unix time of the last good save.", Handler: lastsave},
		&Command{Name: "shutdown", Arity: -1, Flags: NoScript | Admin | Loading | Stale | NoMulti | AllowBusy, Since: "1.0.0", Doc: "Syncs everything and ends the server.", Handler: shutdown},
		&Command{Name: "debug", Arity: -2, Flags: NoScript | Admin | Loading | Stale, Since: "1.0.0", Doc: "DEBUG SLEEP holds the server up for some seconds.", Handler: debug},
		&Command{Name: "config", Arity: -2, Since: "2.0.0", Doc: "Commands about settings.", Handler: missingSub, Subs: []*Command{
			{Name: "config|get", Arity: -3, Flags: admin, Since: "2.0.0", Doc: "Gives the settings that match patterns.", Handler: configGet},
			{Name: "config|set", Arity: -4, Flags: admin, Since: "2.0.0", Doc: "Changes settings, all of them or none.", Handler: configSet},
			{Name: "config|resetstat", Arity: 2, Flags: admin, Since: "2.0.0", Doc: "Sets the statistics of INFO to zero.", Handler: configResetStat},
		}},
		&Command{Name: "command", Arity: -1, Flags: Loading | Stale, Since: "2.8.13", Doc: "Tells about the commands.", Handler: commandAll, Subs: []*Command{
			{Name: "command|count", Arity: 2, Flags: Loading | Stale, Since: "2.8.13", Doc: "Counts the commands.", Handler: commandCount},
			{Name: "command|info", Arity: -2, Flags: Loading | Stale, Since: "2.8.13", Doc: "Tells about some or all commands.", Handler: commandInfo},
			{Name: "command|docs", Arity: -2, Flags: Loading | Stale, Since: "7.0.0", Doc: "Describes some or all commands.", Handler: commandDocs},
			{Name: "command|list", Arity: -2, Flags: Loading | Stale, Since: "7.0.0", Doc: "Names the commands.", Handler: commandList},
		}},
	)
}

func info(c *Ctx) {
	var sections []string
	for _, a := range c.Args[1:] {
		sections = append(sections, strings.ToLower(string(a)))
	}
	c.W.Verbatim("txt", c.u.host.Info(sections))
}

func timeOf(c *Ctx) {
	c.W.Array(2)
	c.W.BulkInt(c.u.nowUs / 1_000_000)
	c.W.BulkInt(c.u.nowUs % 1_000_000)
}

// answer writes a status, or the error if there is one.
func (c *Ctx) answer(status, wireError string) {
	if wireError != "" {
		c.fail(wireError)
		return
	}
	c.W.Simple(status)
}

func rewrite(c *Ctx) { c.answer(c.u.host.Rewrite()) }

func save(c *Ctx) { c.answer("OK", c.u.host.Save()) }

func bgsave(c *Ctx) {
	schedule := len(c.Args) == 2 && equalFold(c.Args[1], "schedule")
	if len(c.Args) > 1 && !schedule {
		c.fail(errSyntax)
		return
	}
	c.answer(c.u.host.BackgroundSave(schedule || c.u.inExec))
}

func lastsave(c *Ctx) { c.W.Int(c.u.host.LastSave()) }

func shutdown(c *Ctx) {
	var o ShutdownOptions
	for _, word := range c.Args[1:] {
		switch {
		case equalFold(word, "save") && !o.NoSave:
			o.Save = true
		case equalFold(word, "nosave") && !o.Save:
			o.NoSave = true
		case equalFold(word, "now"):
			o.Now = true
		case equalFold(word, "force"):
			o.Force = true
		case equalFold(word, "abort"):
			o.Abort = true
		default:
			c.fail(errSyntax)
			return
		}
	}
	if o.Abort && len(c.Args) > 2 {
		c.fail(errSyntax)
		return
	}
	// On success the connection ends without a reply, as Redis does it.
	if text := c.u.host.Shutdown(c.Session, o); text != "" {
		c.fail(text)
	}
}

func debug(c *Ctx) {
	if !equalFold(c.Args[1], "sleep") || len(c.Args) != 3 {
		c.fail("ERR unknown subcommand or wrong number of arguments for '" + string(clip(c.Args[1], 128)) + "'. Try DEBUG HELP.")
		return
	}
	seconds, ok := zset.ParseScore(c.Args[2])
	if !ok {
		seconds = 0 // strtod's answer, which DEBUG takes without a check
	}
	c.u.host.Sleep(seconds)
	c.W.OK()
}

func configGet(c *Ctx) {
	var patterns []string
	for _, a := range c.Args[2:] {
		patterns = append(patterns, strings.ToLower(string(a)))
	}
	pairs := c.u.host.ConfigGet(patterns)
	c.W.Map(len(pairs) / 2)
	for _, s := range pairs {
		c.W.BulkString(s)
	}
}

func configSet(c *Ctx) {
	if len(c.Args)%2 == 1 {
		c.fail(errArity("config|set"))
		return
	}
	var pairs []string
	for _, a := range c.Args[2:] {
		pairs = append(pairs, string(a))
	}
	c.answer("OK", c.u.host.ConfigSet(pairs))
}

func configResetStat(c *Ctx) {
	c.u.host.ConfigResetStat()
	c.W.OK()
}

func sortedCommands() []*Command {
	all := make([]*Command, 0, len(table))
	for _, cmd := range table {
		all = append(all, cmd)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// withSubs are all commands by name, each followed by its subcommands.
func withSubs() (all []*Command) {
	for _, cmd := range sortedCommands() {
		all = append(append(all, cmd), cmd.Subs...)
	}
	return all
}

func commandAll(c *Ctx) {
	all := sortedCommands()
	c.W.Array(len(all))
	for _, cmd := range all {
		c.writeCommand(cmd)
	}
}

func commandCount(c *Ctx) { c.W.Int(int64(len(table))) }

// commandList is COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN what].
func commandList(c *Ctx) {
	wanted := func(*Command) bool { return true }
	if len(c.Args) > 2 {
		if len(c.Args) != 5 || !equalFold(c.Args[2], "filterby") {
			c.fail(errSyntax)
			return
		}
		what := string(c.Args[4])
		switch {
		case equalFold(c.Args[3], "module"):
			wanted = func(*Command) bool { return false }
		case equalFold(c.Args[3], "aclcat"):
			wanted = func(cmd *Command) bool { return slices.Contains(cmd.categories(), "@"+strings.ToLower(what)) }
		case equalFold(c.Args[3], "pattern"):
			wanted = func(cmd *Command) bool { return glob.MatchFold(what, cmd.Name) }
		default:
			c.fail(errSyntax)
			return
		}
	}
	var names []string
	for _, cmd := range withSubs() {
		if wanted(cmd) {
			names = append(names, cmd.Name)
		}
	}
	c.W.Array(len(names))
	for _, name := range names {
		c.W.BulkString(name)
	}
}

// named finds what COMMAND INFO and COMMAND DOCS are asked about: "get",
// "client|id".
func named(word []byte) *Command {
	name, sub, isSub := strings.Cut(string(word), "|")
	cmd := Lookup([]byte(name))
	if cmd != nil && isSub {
		return cmd.sub([]byte(sub))
	}
	return cmd
}

func commandInfo(c *Ctx) {
	if len(c.Args) == 2 {
		commandAll(c)
		return
	}
	c.W.Array(len(c.Args) - 2)
	for _, word := range c.Args[2:] {
		if cmd := named(word); cmd != nil {
			c.writeCommand(cmd)
		} else {
			c.W.Null()
		}
	}
}

// writeCommand writes the ten fields of COMMAND INFO. Tips and key
// specifications beyond the plain range are not kept.
func (c *Ctx) writeCommand(cmd *Command) {
	w := c.W
	w.Array(10)
	w.BulkString(cmd.Name)
	w.Int(int64(cmd.Arity))
	flags := cmd.flagNames()
	w.Set(len(flags))
	for _, f := range flags {
		w.Simple(f)
	}
	w.Int(int64(cmd.Keys.First))
	w.Int(int64(cmd.Keys.Last))
	w.Int(int64(cmd.Keys.Step))
	categories := cmd.categories()
	w.Set(len(categories))
	for _, name := range categories {
		w.Simple(name)
	}
	w.Array(0)
	w.Array(0)
	w.Array(len(cmd.Subs))
	for _, s := range cmd.Subs {
		c.writeCommand(s)
	}
}

func commandDocs(c *Ctx) {
	var asked []*Command
	for _, word := range c.Args[2:] {
		if cmd := named(word); cmd != nil {
			asked = append(asked, cmd)
		}
	}
	if len(c.Args) == 2 {
		asked = sortedCommands()
	}
	c.W.Map(len(asked))
	for _, cmd := range asked {
		c.writeDocs(cmd)
	}
}

func (c *Ctx) writeDocs(cmd *Command) {
	w, fields := c.W, 3
	if cmd.Subs != nil {
		fields++
	}
	w.BulkString(cmd.Name)
	w.Map(fields)
	w.BulkString("summary")
	w.BulkString(cmd.Doc)
	w.BulkString("since")
	w.BulkString(cmd.Since)
	w.BulkString("group")
	w.BulkString(cmd.Group)
	if cmd.Subs != nil {
		w.BulkString("subcommands")
		w.Map(len(cmd.Subs))
		for _, s := range cmd.Subs {
			c.writeDocs(s)
		}
	}
}

func (c *Command) flagNames() []string {
	var names []string
	for _, f := range flagNames {
		if c.Is(f.flag) {
			names = append(names, f.name)
		}
	}
	return names
}

// categories are the ACL categories, in the order of their bits in Redis.
func (c *Command) categories() []string {
	group := map[string]string{
		"generic": "@keyspace", "set": "@set", "sorted-set": "@sortedset", "list": "@list", "hash": "@hash",
		"string": "@string", "stream": "@stream", "connection": "@connection",
		"transactions": "@transaction", "scripting": "@scripting",
	}[c.Group]
	container := c.Subs != nil && c.Flags == 0
	has := func(name string) bool {
		switch name {
		case "@write":
			return c.Is(Write)
		case "@read":
			return c.Is(ReadOnly) && c.Group != "scripting"
		case "@admin":
			return c.Is(Admin) || c.Is(Privileged)
		case "@dangerous":
			return c.Is(Admin) || c.Is(Privileged) || c.Is(Dangerous)
		case "@fast":
			return c.Is(Fast)
		case "@slow":
			return !c.Is(Fast)
		case "@blocking":
			return c.Is(Blocking)
		case "@keyspace":
			return group == name || c.Name == "dbsize" || c.Name == "flushdb" || c.Name == "flushall" || c.Name == "restore-asking"
		case "@connection":
			return group == name && !container || c.Name == "command" || strings.HasPrefix(c.Name, "command|")
		}
		return group == name && !container
	}
	var names []string
	for _, name := range []string{"@keyspace", "@read", "@write", "@set", "@sortedset", "@list", "@hash", "@string",
		"@stream", "@admin", "@fast", "@slow", "@blocking", "@dangerous", "@connection", "@transaction", "@scripting"} {
		if has(name) {
			names = append(names, name)
		}
	}
	return names
}
