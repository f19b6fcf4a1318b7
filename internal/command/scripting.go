package command

import (
	"limpet/internal/lua"
	"limpet/resp"
)

func init() {
	eval := NoScript | Stale | SkipMonitor | MovableKeys | NoMandatoryKeys
	register("scripting",
		&Command{Name: "eval", Arity: -3, Flags: eval, Since: "2.6.0", Doc: "Runs a Lua script.", Handler: func(c *Ctx) { evalText(c, false) }},
		&Command{Name: "eval_ro", Arity: -3, Flags: eval | ReadOnly, Since: "7.0.0", Doc: "Runs a Lua script that does not write.", Handler: func(c *Ctx) { evalText(c, true) }},
		&Command{Name: "evalsha", Arity: -3, Flags: eval, Since: "2.6.0", Doc: "Runs a loaded Lua script.", Handler: func(c *Ctx) { evalSHA(c, false) }},
		&Command{Name: "evalsha_ro", Arity: -3, Flags: eval | ReadOnly, Since: "7.0.0", Doc: "Runs a loaded Lua script that does not write.", Handler: func(c *Ctx) { evalSHA(c, true) }},
		&Command{Name: "script", Arity: -2, Since: "2.6.0", Doc: "Commands about scripts.", Handler: missingSub, Subs: []*Command{
			{Name: "script|load", Arity: 3, Flags: NoScript | Stale, Since: "2.6.0", Doc: "Loads a script and gives its SHA1.", Handler: scriptLoad},
			{Name: "script|exists", Arity: -3, Flags: NoScript, Since: "2.6.0", Doc: "Tells which scripts are loaded.", Handler: scriptExists},
			{Name: "script|flush", Arity: -2, Flags: NoScript, Since: "2.6.0", Doc: "Forgets all scripts.", Handler: scriptFlush},
		}},
	)
}

// scriptRun is the script that the unit is running.
type scriptRun struct {
	session  Session // what SELECT inside the script changes
	readOnly bool
	out      resp.Writer
}

func evalText(c *Ctx, readOnly bool) {
	n, ok := scriptKeys(c)
	if !ok {
		return
	}
	sha, err := c.u.scripts.Load(c.Args[1])
	if err != nil {
		c.fail(err.Error())
		return
	}
	runScript(c, sha, n, readOnly)
}

func evalSHA(c *Ctx, readOnly bool) {
	sha := string(c.Args[1])
	if len(sha) != 40 {
		c.fail(errNoScript)
		return
	}
	n, ok := scriptKeys(c)
	if !ok {
		return
	}
	if !c.u.scripts.Exists(sha) {
		c.fail(errNoScript)
		return
	}
	runScript(c, sha, n, readOnly)
}

// scriptKeys reads how many of the arguments are keys.
func scriptKeys(c *Ctx) (n int64, ok bool) {
	n, ok = c.int(2)
	switch {
	case !ok:
		return 0, false
	case n > int64(len(c.Args)-3):
		c.fail("ERR Number of keys can't be greater than number of args")
		return 0, false
	case n < 0:
		c.fail("ERR Number of keys can't be negative")
		return 0, false
	}
	return n, true
}

func runScript(c *Ctx, sha string, n int64, readOnly bool) {
	u := c.u
	run := &u.script
	run.session = Session{DB: c.Session.DB, Proto: 2, Authed: true}
	run.readOnly = readOnly
	u.scripts.Run(sha, c.Args[3:3+n], c.Args[3+n:], u.caller, c.W, lua.RunOptions{Log: u.host.ScriptLog})
}

// callFromScript is redis.call: what Redis refuses inside scripts is refused,
// the rest runs within the unit, so that its effects are logged with the others.
func (u *Unit) callFromScript(args [][]byte, proto int) []byte {
	run := &u.script
	run.out.Reset()
	run.out.Proto = proto
	run.session.Proto = proto
	cmd := u.lookup(args)
	if cmd == nil {
		run.out.Error(lua.ErrUnknownCommand)
		return run.out.Buf
	}
	cmd, text := resolve(cmd, args)
	switch {
	case text != "":
		run.out.Error(lua.ErrWrongArity)
	case cmd.Is(NoScript):
		run.out.Error(lua.ErrNotAllowed)
	case cmd.Is(Write) && run.readOnly:
		run.out.Error(lua.ErrWriteReadOnly)
	case cmd.Is(Write) && u.ReadOnly != "":
		run.out.Error(u.ReadOnly)
	default:
		u.call(&run.session, cmd, args, &run.out)
	}
	return run.out.Buf
}

func scriptLoad(c *Ctx) {
	sha, err := c.u.scripts.Load(c.Args[2])
	if err != nil {
		c.fail(err.Error())
		return
	}
	c.W.BulkString(sha)
}

func scriptExists(c *Ctx) {
	c.W.Array(len(c.Args) - 2)
	for _, sha := range c.Args[2:] {
		n := int64(0)
		if c.u.scripts.Exists(string(sha)) {
			n = 1
		}
		c.W.Int(n)
	}
}

func scriptFlush(c *Ctx) {
	if len(c.Args) > 3 || len(c.Args) == 3 && !equalFold(c.Args[2], "async") && !equalFold(c.Args[2], "sync") {
		c.fail("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
		return
	}
	c.u.scripts.Flush()
	c.W.OK()
}
