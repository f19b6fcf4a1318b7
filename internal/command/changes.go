package command

// Save points count changes as Redis does, by element rather than by key: a
// request that pushes ten elements is ten. touch counts each key as one.

// weigh makes the touch that it follows, or comes before, count as n changes.
func (c *Ctx) weigh(n int) { c.u.Changes += int64(n) - 1 }
