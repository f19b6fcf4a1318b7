package engine

import "context"

// WaitContext is [Engine.Wait] for who may give the waiting up: then it answers
// the context's error, and whether the ticket will be settled is not known.
func (e *Engine) WaitContext(ctx context.Context, t Ticket) error {
	if ctx.Done() == nil {
		return e.Wait(t)
	}
	if settled, err := e.Settled(t); settled {
		return err
	}
	progress := make(chan struct{}, 1)
	cancel := e.OnProgress(func() {
		select {
		case progress <- struct{}{}:
		default:
		}
	})
	defer cancel()
	for {
		if settled, err := e.Settled(t); settled {
			return err
		}
		select {
		case <-progress:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
