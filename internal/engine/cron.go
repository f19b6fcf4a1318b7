package engine

import (
	"time"

	"limpet/aof"
)

// cron looks after the engine ten times a second: it deletes keys whose deadline
// has passed, starts rewrites and saves that are due, and tries to heal a broken
// log.
func (e *Engine) cron() {
	t := e.clock.NewTicker(cronPeriod)
	defer t.Stop()
	heal := healer{e: e}
	counted, since := int64(0), e.clock.Now()
	for {
		select {
		case <-e.quit:
			return
		case <-t.C():
		}
		if e.log.failure() != nil {
			heal.try()
		}
		e.expireDue()
		e.mu.Lock()
		now := e.clock.Now()
		e.startDue(now)
		if passed := now.Sub(since); passed >= time.Second {
			done := e.ks.Stats.Commands
			e.opsPerSecond = max(0, int64(float64(done-counted)/passed.Seconds()))
			counted, since = done, now
		}
		e.mu.Unlock()
	}
}

// startDue starts what is due to be written, in Redis's order. e.mu is held.
func (e *Engine) startDue(now time.Time) {
	if e.saves.busy() || e.stopping || e.shutDown {
		return
	}
	sound := e.log.failure() == nil
	switch {
	case e.saves.rewriteQueued && sound && !now.Before(e.saves.notBefore):
		e.startRewrite()
	case e.saveDue(now):
		e.startSave()
	case e.rewriteDue(now) && sound:
		e.startRewrite()
	case e.saves.saveQueued && e.mayRetrySave(now):
		e.startSave()
	}
}

// expireDue deletes keys whose deadline has passed, a few at a time so that
// nobody waits long.
func (e *Engine) expireDue() {
	for range 20 {
		e.Enter()
		n := 0
		if e.log.failure() == nil {
			e.now = e.clock.Now()
			e.beginUnit()
			n = e.unit.ExpireDue(expirePerRun)
			e.endUnit()
		}
		e.Leave()
		if n < expirePerRun {
			return
		}
	}
}

// annotate writes #TS before the first record of each second. e.mu is held.
func (e *Engine) annotate(records []byte) []byte {
	if !e.options.Timestamps {
		return records
	}
	now := e.clock.Now().Unix()
	if now <= e.lastTS {
		return records
	}
	e.lastTS = now
	return aof.AppendTimestamp(records, time.Unix(now, 0))
}
