package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"limpet"
	"limpet/clock"
	"limpet/internal/backup"
	"limpet/internal/command"
	"limpet/internal/hotcopy"
	"limpet/rdb"
)

// ownStore is limpet's own store as a backup.Loader.
type ownStore struct{}

// Name is like "limpet 1.2.3".
func (ownStore) Name() string { return toolName() }

// Reads is the highest version of RDB that it loads.
func (ownStore) Reads() int { return rdb.MaxVersion }

// Load opens the directory at the beginning of time, when no deadline had passed,
// and saves.
func (ownStore) Load(ctx context.Context, dir string, l hotcopy.Layout) (dump string, err error) {
	db, err := limpet.Open(dir, &limpet.Options{
		Fsync: limpet.No, RewritePercentage: -1, RefuseTruncated: true, Databases: 1024,
		AppendDirName: l.AppendDirName, AppendFileName: l.AppendFileName, DBFileName: l.DBFileName,
		NoAppendOnly: l.Kind == hotcopy.RDB, Clock: clock.NewFake(time.Unix(1, 0)),
	})
	var unknown command.UnknownCommandError
	if errors.As(err, &unknown) {
		return "", &backup.CannotError{What: "it does not know " + unknown.Name + ", which the log has"}
	}
	if err != nil {
		return "", err
	}
	_, err = db.Do(ctx, "SAVE")
	return filepath.Join(dir, l.DBFileName), errors.Join(err, db.Close())
}
