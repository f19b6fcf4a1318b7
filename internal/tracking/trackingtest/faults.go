package trackingtest

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// fate is what happens to one call on its way.
type fate int

const (
	delivered   fate = iota
	requestLost      // the connection broke before the store saw it
	replyLost        // the store executed it, and the caller is not told
)

// faulty is a client of which some calls are lost. It sees single commands, which
// is how all scripts are called.
type faulty struct {
	redis.UniversalClient
	decide func(cmd redis.Cmder) fate
	owed   *atomic.Bool // a reply is to be lost that has not come yet
}

func (f faulty) Process(ctx context.Context, cmd redis.Cmder) error {
	what := replyLost
	if !f.owed.Swap(false) {
		what = f.decide(cmd)
	}
	switch what {
	case requestLost:
		cmd.SetErr(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	case replyLost:
		if err := f.UniversalClient.Process(ctx, cmd); redis.HasErrorPrefix(err, "NOSCRIPT") {
			f.owed.Store(true) // nothing was executed: it is the next sending's reply
			return err
		}
		cmd.SetErr(io.ErrUnexpectedEOF)
		return io.ErrUnexpectedEOF
	}
	return f.UniversalClient.Process(ctx, cmd)
}

// MasterForKey makes a tracker treat it as a Cluster where it is one.
func (f faultyCluster) MasterForKey(ctx context.Context, key string) (*redis.Client, error) {
	return f.cluster.MasterForKey(ctx, key)
}

type faultyCluster struct {
	faulty
	cluster *redis.ClusterClient
}

// through gives the same store seen through a client that loses calls.
func (b *bench) through(decide func(redis.Cmder) fate) *bench {
	f := faulty{b.client, decide, new(atomic.Bool)}
	if cluster, ok := b.client.(*redis.ClusterClient); ok {
		return b.over(faultyCluster{f, cluster})
	}
	return b.over(f)
}

// losing loses the reply of the n-th call from now on, n counted from 1.
func (b *bench) losing(n int) *bench {
	var mu sync.Mutex
	return b.through(func(redis.Cmder) fate {
		mu.Lock()
		defer mu.Unlock()
		if n--; n == 0 {
			return replyLost
		}
		return delivered
	})
}

// killed is a worker's client and context that both end at its n-th call: before
// the store sees it, or after the store has executed it.
func (b *bench) killed(n int, executed bool) (*bench, context.Context) {
	ctx, kill := context.WithCancel(b.ctx)
	w := b.through(func(redis.Cmder) fate {
		n--
		switch {
		case n > 0:
			return delivered
		case n == 0 && executed:
			kill()
			return replyLost
		}
		kill()
		return requestLost
	})
	w.ctx = ctx
	return w, ctx
}

func zAt(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }
