package tracking

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrUnknownSeed says that the seed was never submitted.
	ErrUnknownSeed = errors.New("tracking: unknown seed")
	// ErrStale says that the lease is no longer held: it ran out, or the page was
	// finished. The work done under it is to be thrown away.
	ErrStale = errors.New("tracking: lease no longer held")
	// ErrCancelled says that a cancelled seed cannot do this; submit it again.
	ErrCancelled = errors.New("tracking: seed is cancelled")
	// ErrStoreRefuses says that the store answers, but takes no writes for now: its
	// disk is full, its memory is, or it is a replica. Nothing was changed.
	ErrStoreRefuses = errors.New("tracking: store refuses writes")
	// ErrDamaged says that keys of the seed are missing; an audit with repair
	// mends it.
	ErrDamaged = errors.New("tracking: seed's keys are damaged")
)

// refusals are the error codes with which a working server turns writes away.
// None of the scripts has written anything when it gets one of them, because
// Redis answers them to the first write of a script or to the script itself.
var refusals = []string{"MISCONF", "OOM", "READONLY", "NOREPLICAS", "NOPERM"}

// passing are the error codes of a server that will soon do better.
var passing = []string{"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "BUSY", "ERR max number of clients"}

// worthRepeating reports whether the same call may succeed when it is sent again.
// Without an answer nobody knows whether it was executed; the scripts do.
func worthRepeating(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || errors.Is(err, redis.ErrClosed) {
		return false
	}
	var answered redis.Error
	if !errors.As(err, &answered) {
		return true // no answer: broken connection, time-out, refused dial
	}
	return hasCode(err, passing)
}

// hasCode looks behind the wrapping that scripts put around an error.
func hasCode(err error, codes []string) bool {
	for _, code := range codes {
		if redis.HasErrorPrefix(err, code) || strings.Contains(err.Error(), "-"+code+" ") {
			return true
		}
	}
	return false
}

// explain puts the script's name and the seed before an error, and a sentinel
// into it where there is one.
func explain(script, seed string, err error) error {
	if hasCode(err, refusals) {
		return fmt.Errorf("%w: %s %s: %w", ErrStoreRefuses, script, seed, err)
	}
	return fmt.Errorf("tracking: %s %s: %w", script, seed, err)
}
