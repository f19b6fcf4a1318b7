package tracking

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/weburl"
)

// A store that was restarted may have loaded a log that was torn inside a
// transaction, or fallen back to an older state; Redis 7.0 itself can come up
// with a wrong count that way. So a seed is audited before the first claim after
// a restart, and finding out must cost the claims between restarts nothing.
//
// A server forgets its scripts when it ends. The claim script's text begins with
// the run id of the server that its sender has seen, so after a restart nobody
// knows the script any more, and the sender learns from NOSCRIPT that it has to
// look at the run id again. The script compares the run id with the one in P:m
// under which the seed was audited last; of many workers only the first audits.

// claimScript is the claim script for one run of a server.
type claimScript struct {
	*script
	run string
}

// runs holds the claim script for the run of the server that was last seen: one
// for a single server, under the empty seed; of a Cluster, whose seeds live on
// different servers, one for each seed.
type runs struct {
	mu sync.Mutex
	by map[weburl.Seed]*claimScript
}

func (r *runs) get(seed weburl.Seed) *claimScript {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[seed]
}

// set notes the run and gives back its script. Seeds on one server share it: it
// is a text of some length.
func (r *runs) set(seed weburl.Seed, run string) *claimScript {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[weburl.Seed]*claimScript)
	}
	for _, s := range r.by {
		if s.run == run {
			r.by[seed] = s
			return s
		}
	}
	s := &claimScript{newScript(scriptClaim.name, "-- run "+run+"\n"+scriptClaim.text), run}
	r.by[seed] = s
	return s
}

func (r *runs) forget(seed weburl.Seed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, seed)
}

// claim runs the claim script under the guard. A repetition carries the nonce of
// the first try, and gets the leases that try may have made. run is that of the
// server that has answered.
func (t *Tracker) claim(ctx context.Context, seed weburl.Seed, n int, lease time.Duration) (r reply, run string, err error) {
	keys := t.keys(seed)
	mark := nonce()
	err = t.repeat(ctx, func(try int) error {
		for range 10 {
			s, err := t.claimScript(ctx, seed)
			if err != nil {
				return err
			}
			run = s.run
			cmd := s.evalSHA(ctx, keys, []any{t.options.EventCap, n, lease.Milliseconds(), mark, min(try, 1), s.run})
			err = t.client.Process(ctx, cmd)
			if redis.HasErrorPrefix(err, "NOSCRIPT") {
				if _, err := t.greet(ctx, seed); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
			if r, err = readReply(cmd.Val()); err != nil || !r.is("audit") {
				return err
			}
			report, err := t.audit(ctx, seed, true, s.run)
			if err != nil {
				return err
			}
			if t.options.OnAudit != nil {
				t.options.OnAudit(report)
			}
		}
		return errRestarting
	})
	if err != nil {
		return nil, "", explain("claim", string(seed), err)
	}
	return r, run, r.unknown(scriptClaim, seed)
}

func (t *Tracker) claimScript(ctx context.Context, seed weburl.Seed) (*claimScript, error) {
	if s := t.runs.get(t.server(seed)); s != nil {
		return s, nil
	}
	return t.greet(ctx, seed)
}

// server is what runs are held by.
func (t *Tracker) server(seed weburl.Seed) weburl.Seed {
	if _, ok := t.client.(cluster); ok {
		return seed
	}
	return ""
}

// greet learns the run id of the server that has the seed, and leaves the claim
// script for that run with it. The id is asked for again afterwards: the script
// must not be left with a run that it does not name.
func (t *Tracker) greet(ctx context.Context, seed weburl.Seed) (*claimScript, error) {
	node, err := t.node(ctx, seed)
	if err != nil {
		return nil, err
	}
	run, err := runID(ctx, node)
	for range 10 {
		if err != nil {
			return nil, err
		}
		s := t.runs.set(t.server(seed), run)
		if err := node.ScriptLoad(ctx, s.text).Err(); err != nil {
			return nil, err
		}
		var after string
		if after, err = runID(ctx, node); err == nil && after == run {
			return s, nil
		}
		run = after
	}
	return nil, errRestarting
}

// errRestarting is also what a proxy before several servers looks like.
var errRestarting = errors.New("the store's run_id changes from one answer to the next: name one server, or a Cluster as such")

// runID is empty for a store that does not tell one; the guard then rests.
func runID(ctx context.Context, c redis.UniversalClient) (string, error) {
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return "", err
	}
	return infoField(info, "run_id"), nil
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
