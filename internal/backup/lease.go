package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"limpet/clock"
	"limpet/internal/target"
)

// lease says that a backup's files are in use. One whose holder has died runs out.
type lease struct {
	Backup string    `json:"backup"` // id
	What   string    `json:"what"`   // for people: backup, restore, verify
	Host   string    `json:"host,omitempty"`
	Until  time.Time `json:"until"`
}

const (
	leases = "leases/"
	// leaseTime is how far clocks of different machines may be apart, and how long
	// a target may be out of reach, before a reader's files may be deleted.
	leaseTime  = 15 * time.Minute
	leaseRenew = time.Minute
)

// hold takes a lease on a backup and renews it until release is called.
func hold(ctx context.Context, s *target.Store, clk clock.Clock, l lease) (release func(), err error) {
	key := leases + strings.ToLower(rand.Text()) + ".json"
	write := func(ctx context.Context) error {
		l.Until = clk.Now().Add(leaseTime).UTC()
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		return s.Put(ctx, key, strings.NewReader(string(text)))
	}
	if err := write(ctx); err != nil {
		return nil, err
	}
	stop := clock.Every(ctx, clk, leaseRenew, func(ctx context.Context) {
		_ = write(ctx) // the next one may succeed, long before it runs out
	})
	return func() {
		stop()
		// Also when the work was interrupted; else the lease runs out by itself.
		_ = s.Delete(context.WithoutCancel(ctx), key)
	}, nil
}

// leased gives the ids of all backups in use, and removes leases that ran out.
func leased(ctx context.Context, s *target.Store, clk clock.Clock) (map[string]lease, error) {
	found, err := s.List(ctx, leases)
	if err != nil {
		return nil, err
	}
	held := map[string]lease{}
	for _, o := range found {
		var l lease
		err := readJSON(ctx, s, o.Key, &l)
		switch {
		case errors.Is(err, target.ErrNotFound):
		case err != nil:
			return nil, err
		case clk.Now().After(l.Until):
			_ = s.Delete(ctx, o.Key)
		default:
			held[l.Backup] = l
		}
	}
	return held, nil
}
