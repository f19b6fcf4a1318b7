package command

// MULTI, EXEC, DISCARD and WATCH. A block runs as one unit: its effects are
// logged together, and nothing of another session runs in between.

func init() {
	register("transactions",
		&Command{Name: "multi", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Since: "1.2.0",
			Doc: "Begins a transaction.", Handler: multi},
		&Command{Name: "exec", Arity: 1, Flags: NoScript | Loading | Stale | SkipSlowlog, Since: "1.2.0",
			Doc: "Runs the queued requests of a transaction.", Handler: exec},
		&Command{Name: "discard", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Since: "2.0.0",
			Doc: "Forgets the queued requests of a transaction.", Handler: discard},
		&Command{Name: "watch", Arity: -2, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Keys: Keys{1, -1, 1}, Since: "2.2.0",
			Doc: "Makes the next EXEC conditional on keys staying unchanged.", Handler: watch},
		&Command{Name: "unwatch", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, Since: "2.2.0",
			Doc: "Forgets the watched keys.", Handler: unwatch},
	)
}

func multi(c *Ctx) {
	if c.Session.tx.open {
		c.fail(errNestedMulti)
		return
	}
	c.Session.tx.open = true
	c.W.OK()
}

func discard(c *Ctx) {
	if !c.Session.tx.open {
		c.fail(errDiscardNoMulti)
		return
	}
	c.u.endTransaction(c.Session)
	c.W.OK()
}

// endTransaction leaves MULTI and unwatches, as EXEC and DISCARD both do.
func (u *Unit) endTransaction(s *Session) {
	u.watchers.drop(s)
	s.tx = transaction{}
}

func exec(c *Ctx) {
	s := c.Session
	if !s.tx.open {
		c.fail(errExecNoMulti)
		return
	}
	if s.tx.failed {
		c.u.endTransaction(s)
		c.fail(errExecAborted)
		return
	}
	if s.tx.stale || c.u.watchedExpired(s) {
		c.u.endTransaction(s)
		c.W.NullArray()
		return
	}
	queue := s.tx.queue
	if text := c.u.execRefused(queue); text != "" {
		c.u.refuse(s, c.Cmd, c.W, text)
		return
	}
	c.u.endTransaction(s)
	c.W.Array(len(queue))
	c.u.inExec = true
	for _, args := range queue {
		cmd, _ := resolve(Lookup(args[0]), args)
		c.W.Proto = s.Proto
		c.u.call(s, cmd, args, c.W)
	}
	c.u.inExec = false
}

// execRefused says why a block may not run although each request was let
// through when it was queued: writes have been refused since.
func (u *Unit) execRefused(queue [][][]byte) string {
	if u.ReadOnly == "" {
		return ""
	}
	for _, args := range queue {
		if Lookup(args[0]).Is(Write) {
			return u.ReadOnly
		}
	}
	return ""
}

func watch(c *Ctx) {
	if c.Session.tx.open {
		c.fail(errWatchInMulti)
		return
	}
	for _, key := range c.Args[1:] {
		c.exists(key) // a key found expired is deleted now, not between WATCH and EXEC
		c.u.watchers.add(c.Session, watchKey{c.DB.Index(), string(key)})
	}
	c.W.OK()
}

func unwatch(c *Ctx) {
	c.u.watchers.drop(c.Session)
	c.W.OK()
}

// watchedExpired tells whether a watched key's deadline has passed since WATCH.
func (u *Unit) watchedExpired(s *Session) bool {
	for _, k := range s.tx.watched {
		e, _, ok := u.ks.DB(k.db).View([]byte(k.key))
		if ok && e.Deadline != 0 && e.Deadline <= u.now {
			return true
		}
	}
	return false
}
