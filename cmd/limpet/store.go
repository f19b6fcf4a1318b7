package main

import "context"

// storeCmd runs the embedded store alone.
type storeCmd struct {
	storeFlags
	logFlags
	Insecure bool `env:"LIMPET_INSECURE" help:"Listen beyond loopback without a password. Anyone who reaches the port may do anything."`
}

// Validate checks what does not need the machine to tell.
func (c *storeCmd) Validate() error { return c.check(c.Insecure) }

// Run runs the store until a signal or SHUTDOWN ends it.
func (c *storeCmd) Run(ctx context.Context, t terminal) error {
	logger := c.logger(t.err)
	l, err := listen("--store-addr", c.StoreAddr)
	if err != nil {
		return err
	}
	e, err := c.start(l, logger)
	if err != nil {
		return err
	}
	err = e.ended(ctx)
	logger.Info("stopping")
	if stopErr := e.stop(); err == nil {
		err = stopErr
	}
	if err == nil {
		logger.Info("stopped; everything is on disk")
	}
	return err
}
