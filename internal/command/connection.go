package command

import (
	"crypto/subtle"
	"math"
	"strconv"
	"strings"

	"limpet/resp"
)

func init() {
	always := NoScript | Loading | Stale | Fast | NoAuth | AllowBusy
	client := NoScript | Loading | Stale
	register("connection",
		&Command{Name: "ping", Arity: -1, Flags: Fast, Since: "1.0.0", Doc: "Answers PONG, or gives back its argument.", Handler: ping},
		&Command{Name: "echo", Arity: 2, Flags: Fast | Loading | Stale, Since: "1.0.0", Doc: "Gives back its argument.", Handler: echo},
		&Command{Name: "hello", Arity: -1, Flags: always, Since: "6.0.0", Doc: "Chooses the protocol version and tells about the server.", Handler: hello},
		&Command{Name: "auth", Arity: -2, Flags: always, Since: "1.0.0", Doc: "Authenticates the connection.", Handler: auth},
		&Command{Name: "select", Arity: 2, Flags: Loading | Stale | Fast, Since: "1.0.0", Doc: "Selects a database.", Handler: selectDB},
		&Command{Name: "quit", Arity: -1, Flags: always, Since: "1.0.0", Doc: "Closes the connection.", Handler: quit},
		&Command{Name: "reset", Arity: 1, Flags: always, Since: "6.2.0", Doc: "Makes the connection as new.", Handler: reset},
		&Command{Name: "client", Arity: -2, Since: "2.4.0", Doc: "Commands about connections.", Handler: missingSub, Subs: []*Command{
			{Name: "client|id", Arity: 2, Flags: client, Since: "5.0.0", Doc: "Gives the connection's number.", Handler: clientID},
			{Name: "client|setname", Arity: 3, Flags: client, Since: "2.6.9", Doc: "Names the connection.", Handler: clientSetName},
			{Name: "client|getname", Arity: 2, Flags: client, Since: "2.6.9", Doc: "Gives the connection's name.", Handler: clientGetName},
			{Name: "client|setinfo", Arity: 4, Flags: client, Since: "7.2.0", Doc: "Tells which library the client uses.", Handler: clientSetInfo},
			{Name: "client|info", Arity: 2, Flags: client, Since: "6.2.0", Doc: "Describes this connection.", Handler: clientInfo},
			{Name: "client|list", Arity: -2, Flags: client | Admin | Dangerous, Since: "2.4.0", Doc: "Describes every connection.", Handler: clientList},
		}},
	)
}

// missingSub answers a container that was called without a second word; the
// arity check has let it through only when there is one.
func missingSub(c *Ctx) { c.fail(errArity(c.Cmd.Name)) }

func ping(c *Ctx) {
	switch len(c.Args) {
	case 1:
		c.W.Simple("PONG")
	case 2:
		c.W.Bulk(c.Args[1])
	default:
		c.fail(errArity("ping"))
	}
}

func echo(c *Ctx) { c.W.Bulk(c.Args[1]) }

func selectDB(c *Ctx) {
	n, ok := resp.ParseInt(c.Args[1])
	if !ok {
		c.fail(errNotInteger)
		return
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		c.fail("ERR value is out of range, value must between -2147483648 and 2147483647")
		return
	}
	if n < 0 || n >= int64(c.u.ks.Databases()) {
		c.fail(errDBIndexRange)
		return
	}
	c.Session.DB = int(n)
	c.W.OK()
}

func quit(c *Ctx) {
	c.Session.Closing = true
	c.W.OK()
}

func reset(c *Ctx) {
	c.u.endTransaction(c.Session)
	c.Session.reset(c.u.Limits.Password == "")
	c.W.Simple("RESET")
}

// authenticate checks a name and a password; on failure the error is written.
func (c *Ctx) authenticate(user, password []byte) bool {
	want := c.u.Limits.Password
	known := string(user) == "default"
	if known && (want == "" || subtle.ConstantTimeCompare(password, []byte(want)) == 1) {
		c.Session.Authed = true
		return true
	}
	c.fail(errWrongPass)
	return false
}

func auth(c *Ctx) {
	switch len(c.Args) {
	case 2:
		if c.u.Limits.Password == "" {
			c.fail("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
			return
		}
		if c.authenticate([]byte("default"), c.Args[1]) {
			c.W.OK()
		}
	case 3:
		if c.authenticate(c.Args[1], c.Args[2]) {
			c.W.OK()
		}
	default:
		c.fail(errSyntax)
	}
}

func hello(c *Ctx) {
	proto, name := c.Session.Proto, []byte(nil)
	named := false
	if len(c.Args) > 1 {
		n, ok := resp.ParseInt(c.Args[1])
		if !ok {
			c.fail("ERR Protocol version is not an integer or out of range")
			return
		}
		if n != 2 && n != 3 {
			c.fail("NOPROTO unsupported protocol version")
			return
		}
		proto = int(n)
	}
	for i := 2; i < len(c.Args); i++ {
		switch {
		case equalFold(c.Args[i], "auth") && i+2 < len(c.Args):
			if !c.authenticate(c.Args[i+1], c.Args[i+2]) {
				return
			}
			i += 2
		case equalFold(c.Args[i], "setname") && i+1 < len(c.Args):
			name, named = c.Args[i+1], true
			if !validName(name) {
				c.fail(errClientName)
				return
			}
			i++
		default:
			c.fail("ERR Syntax error in HELLO option '" + string(cstring(c.Args[i])) + "'")
			return
		}
	}
	if !c.Session.Authed {
		c.fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if named {
		c.Session.Name = string(name)
	}
	c.Session.Proto = proto
	c.W.Proto = proto
	c.W.Map(7)
	c.W.BulkString("server")
	c.W.BulkString("redis")
	c.W.BulkString("version")
	c.W.BulkString(RedisVersion)
	c.W.BulkString("proto")
	c.W.Int(int64(proto))
	c.W.BulkString("id")
	c.W.Int(c.Session.ID)
	c.W.BulkString("mode")
	c.W.BulkString("standalone")
	c.W.BulkString("role")
	c.W.BulkString("master")
	c.W.BulkString("modules")
	c.W.Array(0)
}

// RedisVersion is the release whose semantics are followed and which clients
// are told, since they choose what to send by it.
const RedisVersion = "7.0.15"

const errClientName = "ERR Client names cannot contain spaces, newlines or special characters."

// validName tells whether every byte is printable and none is a space.
func validName(b []byte) bool {
	for _, c := range b {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func clientID(c *Ctx) { c.W.Int(c.Session.ID) }

func clientSetName(c *Ctx) {
	if !validName(c.Args[2]) {
		c.fail(errClientName)
		return
	}
	c.Session.Name = string(c.Args[2])
	c.W.OK()
}

func clientGetName(c *Ctx) {
	if c.Session.Name == "" {
		c.W.Null()
		return
	}
	c.W.BulkString(c.Session.Name)
}

func clientSetInfo(c *Ctx) {
	value := string(c.Args[3])
	switch {
	case equalFold(c.Args[2], "lib-name"):
		if !validName(c.Args[3]) {
			c.fail("ERR lib-name cannot contain spaces, newlines or special characters.")
			return
		}
		c.Session.LibName = value
	case equalFold(c.Args[2], "lib-ver"):
		if !validName(c.Args[3]) {
			c.fail("ERR lib-ver cannot contain spaces, newlines or special characters.")
			return
		}
		c.Session.LibVer = value
	default:
		c.fail("ERR Unrecognized option '" + string(c.Args[2]) + "'")
		return
	}
	c.W.OK()
}

func clientInfo(c *Ctx) { c.W.Verbatim("txt", c.describe(c.Session)) }

func clientList(c *Ctx) {
	var wanted map[int64]bool
	switch {
	case len(c.Args) == 2:
	case len(c.Args) == 4 && equalFold(c.Args[2], "type"):
		if !equalFold(c.Args[3], "normal") {
			c.listOtherTypes(c.Args[3])
			return
		}
	case len(c.Args) >= 4 && equalFold(c.Args[2], "id"):
		wanted = map[int64]bool{}
		for i := 3; i < len(c.Args); i++ {
			id, ok := resp.ParseInt(c.Args[i])
			if !ok || id < 1 {
				c.fail("ERR Invalid client ID")
				return
			}
			wanted[id] = true
		}
	default:
		c.fail(errSyntax)
		return
	}
	var b strings.Builder
	for s := range c.u.host.Sessions() {
		if wanted == nil || wanted[s.ID] {
			b.WriteString(c.describe(s))
		}
	}
	c.W.Verbatim("txt", b.String())
}

// listOtherTypes answers for the kinds of client that do not occur here.
func (c *Ctx) listOtherTypes(kind []byte) {
	for _, known := range []string{"master", "replica", "slave", "pubsub"} {
		if equalFold(kind, known) {
			c.W.Verbatim("txt", "")
			return
		}
	}
	c.fail("ERR Unknown client type '" + string(kind) + "'")
}

// describe is a line of CLIENT LIST.
func (c *Ctx) describe(s *Session) string {
	flags, multi := "N", -1
	if n, open := s.InMulti(); open {
		flags, multi = "x", n
	}
	if s.tx.stale {
		flags = strings.TrimPrefix(flags+"d", "N")
	}
	last := s.LastName
	if last == "" {
		last = "NULL"
	}
	field := func(name string, value int64) string { return " " + name + "=" + strconv.FormatInt(value, 10) }
	line := "id=" + strconv.FormatInt(s.ID, 10) + " addr=" + s.Addr + " laddr=" + s.Local +
		field("fd", s.ID) + " name=" + s.Name +
		field("age", (c.now()-s.Created)/1000) + field("idle", (c.now()-s.LastSeen)/1000) +
		" flags=" + flags + field("db", int64(s.DB)) + " sub=0 psub=0 ssub=0" + field("multi", int64(multi)) +
		" qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=" + last +
		" user=default redir=-1" + field("resp", int64(s.Proto))
	if s.LibName != "" || s.LibVer != "" {
		line += " lib-name=" + s.LibName + " lib-ver=" + s.LibVer
	}
	return line + "\n"
}
