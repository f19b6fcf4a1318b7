package clock

import (
	"context"
	"time"
)

// Every calls do each period, in a goroutine of its own, until ctx ends or stop is
// called. Stop ends the context of a call under way and waits for its return. Every
// panics unless period > 0.
func Every(ctx context.Context, c Clock, period time.Duration, do func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	ticker := c.NewTicker(period)
	go func() {
		defer close(ended)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C():
				do(ctx)
			}
		}
	}()
	return func() { cancel(); <-ended }
}
