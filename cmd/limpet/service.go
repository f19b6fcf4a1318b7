package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"

	"limpet"
	"limpet/aof"
	"limpet/rdb"
	"limpet/server"
	"limpet/vfs"
)

// What `limpet up` and `limpet store` share: ports, and the embedded store
// behind one of them.

// listen takes a port before anything else is touched.
func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	f := failf(exitLocal, "cannot listen on %s: %s", addr, reason(err))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, f.with("Another program has this port: perhaps limpet or a Redis that runs already. Nothing has been changed.").
			with("who:    ss -ltnp 'sport = :%s'", portOf(addr)).
			with("else:   choose another with %s HOST:PORT", flag)
	case errors.Is(err, syscall.EACCES):
		return nil, f.with("Ports below 1024 need privileges. Choose another with %s HOST:PORT.", flag)
	}
	return nil, f.with("Choose another address with %s HOST:PORT.", flag)
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// reason is what the operating system says, without the names of calls.
func reason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// embedded is the store in this process, with its doors for Redis clients.
type embedded struct {
	db        *limpet.DB
	server    *server.Server
	served    chan error // Serve's end, of each door
	archiving *archiving // nil when the store is not archived
}

// start opens the store of a directory and serves it on a listener, which it
// closes when that fails.
func (c *storeFlags) start(l net.Listener, logger *slog.Logger) (*embedded, error) {
	policy, err := limpet.ParsePolicy(c.AppendFsync)
	if err != nil {
		_ = l.Close()
		return nil, failf(exitUsage, "--%s", err)
	}
	e, err := openStore(c.Dir, limpet.Options{
		Fsync: policy, Password: c.StorePassword, Logger: logger,
		Timestamps: true, // so that an archive is exact to the second; 16 bytes each
	}, server.Options{Logger: logger})
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	e.letIn(l)
	logger.Info("the store is ready for Redis clients", "addr", l.Addr().String(), "dir", c.Dir, "appendfsync", c.AppendFsync)
	return e, nil
}

// openStore opens a store that lets nobody in yet.
func openStore(dir string, o limpet.Options, so server.Options) (*embedded, error) {
	db, err := limpet.Open(dir, &o)
	if err != nil {
		return nil, explainOpen(dir, err)
	}
	return &embedded{db: db, server: server.New(db, so)}, nil
}

// letIn serves who knocks at the doors. It is called once.
func (e *embedded) letIn(doors ...net.Listener) {
	e.served = make(chan error, len(doors))
	for _, l := range doors {
		go func() { e.served <- e.server.Serve(l) }()
	}
}

// stop closes the doors, syncs everything, releases the directory and archives
// the rest.
func (e *embedded) stop() error {
	_ = e.server.Close()
	err := e.db.Close()
	e.archiving.end()
	if err != nil {
		return failf(exitLocal, "%s", err).
			with("The last acknowledged writes may not be on disk. What is there is sound up to them.")
	}
	return nil
}

// explainOpen says why a store could not be opened, what is safe and what to type.
func explainOpen(dir string, err error) error {
	const unchanged = "Nothing has been changed."
	f := failf(exitLocal, "cannot open %s", dir)
	typed := typedPath(dir)
	// What repair can do it shows before it writes, and it writes elsewhere.
	mend := func() *failure {
		return f.with("look:   limpet check %s", typed).
			with("mend:   limpet repair --from %s --to %s", typed, typedPath(mendedName(dir))).
			with("        (shows what would be kept and what cut, and asks)")
	}
	var (
		locked   *vfs.LockedError
		torn     *aof.TruncatedError
		hole     *aof.HoleError
		damaged  *aof.FormatError
		orphans  *aof.OrphanError
		missing  *aof.MissingError
		manifest *aof.ManifestError
		badBase  *rdb.Error
	)
	switch {
	case errors.As(err, &locked):
		f = f.with("%s. Only one process may have a directory open. %s", locked, unchanged)
		if locked.PID != 0 {
			f = f.with("who:    ps -p %d", locked.PID)
		} else {
			f = f.with("who:    fuser -v %s", typedPath(locked.Path))
		}
		return f.with("else:   choose another directory with --dir")
	case errors.As(err, &hole):
		f = f.with("%s ends early at byte %d, and %s follows it: there is a hole in the log.", hole.Torn.File, hole.Torn.Offset, hole.Next).
			with("The %d commands before it are intact. %s", hole.Torn.Commands, unchanged)
		return mend()
	case errors.As(err, &torn):
		f = f.with("%s ends in the middle of a command at byte %d, and aof-load-truncated is no.", torn.File, torn.Offset).
			with("The %d commands before it are intact. %s", torn.Commands, unchanged)
		return mend()
	case errors.As(err, &damaged):
		f = f.with("%s is damaged at byte %d: %s.", damaged.File, damaged.Offset, damaged.What).
			with("The %d commands before it, up to byte %d, are intact. %s", damaged.Commands, damaged.CutAt, unchanged)
		return mend()
	case errors.As(err, &orphans):
		f = f.with("%s.", orphans).with(unchanged).
			with("The manifest can be made anew from the names of the files, where they leave no doubt:")
		return mend().with("else:   choose another directory with --dir, if these files are not your data")
	case errors.As(err, &missing):
		f = f.with("%s.", missing).with(unchanged).
			with("What they held can only come from a backup. Without, what stands before the first that is missing can be kept:")
		return mend().with("back:   limpet restore --from TARGET --to %s", typedPath(strings.TrimRight(dir, "/")+".restored"))
	case errors.As(err, &manifest):
		f = f.with("%s.", manifest).with(unchanged)
		return mend()
	case errors.As(err, &badBase):
		f = f.with("%s.", err).with(unchanged)
		switch {
		case errors.Is(err, rdb.ErrUnsupported):
			return f.with("The file is sound, and the Redis that wrote it opens it. What is not supported has to go there, before it saves again:").
				with("mend:   HPERSIST KEY FIELDS 1 FIELD, for a field with a deadline; DEL KEY, for what else")
		case errors.Is(err, rdb.ErrNewer):
			return f.with("The file is sound as far as that is known, and the version that wrote it opens it.")
		case !errors.Is(err, rdb.ErrCorrupt) && !errors.Is(err, rdb.ErrTruncated):
			return f // of this configuration, or of the disk
		}
		return mend()
	case errors.Is(err, rdb.ErrUnsupported):
		return f.with("%s.", err).with("The file is sound, and the server that wrote it opens it. %s", unchanged)
	case errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS):
		return f.with("%s. %s", reason(err), unchanged).
			with("The directory must be writable for user id %d:", os.Getuid()).
			with("look:   ls -ld %s", typed).
			with("else:   choose another directory with --dir")
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return f.with("%s. What was there is as it was.", reason(err)).
			with("look:   df -h %s; df -i %s", typed, typed)
	}
	return f.with("%s.", err).with(unchanged).with("look:   limpet check %s", typed)
}

// ended waits for what ends a service: a signal, SHUTDOWN, or a door that broke.
func (e *embedded) ended(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-e.db.Done():
	case err := <-e.served:
		return failf(exitLocal, "the store's listener broke: %s", err)
	}
	return nil
}
