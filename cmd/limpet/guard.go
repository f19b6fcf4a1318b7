package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"limpet/aof"
	"limpet/internal/check"
	"limpet/internal/conf"
	"limpet/vfs"
)

// guardCmd is what stands before a server that does not look after its files
// itself: a real redis-server.
type guardCmd struct {
	Dir     string   `env:"LIMPET_DIR" default:"./volumes/redis" type:"path" help:"The server's data directory."`
	Owner   string   `placeholder:"UID:GID" help:"Give the directory, and all in it, to this user; needs root."`
	Also    []string `type:"path" placeholder:"DIR" help:"With --owner: another directory to give away, that of an archive."`
	Install string   `type:"path" placeholder:"DIR" help:"Put this program there, too, so that a container of another image can have it before its server."`
	HostDir string   `env:"LIMPET_HOST_DIR" placeholder:"PATH" help:"What the directory is called outside of the container, for messages."`
	namesOfLog
	logFlags

	Program []string `arg:"" optional:"" passthrough:"" name:"program" help:"The server to become when the files are sound, behind --, as in -- redis-server --appendonly yes."`

	uid, gid int // Owner, parsed; -1 for nobody
}

// Help follows the summary in `limpet guard --help`.
func (c *guardCmd) Help() string {
	return "A torn end, as a power cut leaves it, is kept beside the log and cut off before the transaction that it lies in; a real redis-server 7 cuts inside and counts wrong later. " +
		"Anything worse ends it with code 11, and nothing has been changed. " +
		"The program keeps the directory's lock while it runs, so that neither a second server nor limpet can open the same files."
}

// Validate checks what does not need the machine to tell.
func (c *guardCmd) Validate() error {
	c.uid, c.gid = -1, -1
	if len(c.Program) > 0 && c.Program[0] == "--" {
		c.Program = c.Program[1:]
	}
	if c.Owner == "" {
		return nil
	}
	var rest string
	if n, _ := fmt.Sscanf(c.Owner+" ", "%d:%d%s", &c.uid, &c.gid, &rest); n != 2 || c.uid < 0 || c.gid < 0 {
		return fmt.Errorf("--owner %q: want UID:GID in numbers, as in 999:999", c.Owner)
	}
	return nil
}

// Run looks at the directory and becomes the program.
func (c *guardCmd) Run(ctx context.Context, t terminal) error {
	if c.Install != "" {
		if err := install(c.Install); err != nil {
			return failf(exitLocal, "cannot put limpet into %s: %s", c.Install, reason(err))
		}
	}
	if err := c.give(); err != nil {
		return err
	}
	if c.uid < 0 || c.uid == os.Getuid() {
		if err := c.writable(); err != nil {
			return err
		}
	}
	lock, err := vfs.OS().Lock(filepath.Join(c.Dir, c.fileName()+".lock"))
	var held *vfs.LockedError
	switch {
	case errors.As(err, &held) && len(c.Program) == 0:
		return t.print("%s is in use: the server that has it open looks after it. Nothing has been changed.", c.Dir)
	case errors.As(err, &held):
		return failf(exitRefused, "%s is in use by another server", c.host()).
			with("Two servers on one log would destroy it. Nothing has been changed.").
			with("look:   docker ps --filter volume=%s", c.host()).
			with("stop:   end the other one first (docker-compose stop)")
	case err != nil:
		return failf(exitLocal, "cannot lock %s: %s", c.host(), reason(err))
	}
	if err := c.owned(c.fileName() + ".lock"); err != nil {
		return err
	}
	if err := c.inspect(ctx, t); err != nil {
		return err
	}
	if len(c.Program) == 0 {
		return lock.Close()
	}
	return c.become(lock)
}

func (c *guardCmd) fileName() string {
	if c.Appendfilename == "" {
		return "appendonly.aof"
	}
	return c.Appendfilename
}

// host is what the user calls the directory.
func (c *guardCmd) host() string {
	if c.HostDir != "" {
		return c.HostDir
	}
	return c.Dir
}

// inspect lets nothing pass that a redis-server would make something else of.
func (c *guardCmd) inspect(ctx context.Context, t terminal) error {
	r, err := check.Inspect(ctx, vfs.OS(), c.Dir, check.Options{})
	if err != nil {
		return failf(exitLocal, "cannot check %s: %s", c.host(), reason(err))
	}
	w := &told{r: r}
	switch verdict := verdictOfLogs(r); {
	case len(r.Logs)+len(r.Dumps) == 0 && !orphaned(r):
		return t.print("%s is empty: a new store begins.", c.Dir)
	case len(r.Logs) == 0 && len(r.Dumps) > 0 && wantsLog(c.Program):
		return failf(exitSevere, "%s has a dump and no log, and a server with appendonly yes begins empty then", c.host()).
			with("The dump is intact. Nothing has been changed.").
			with("mend:   limpet store --dir %s, and SHUTDOWN when it is ready: it makes the dump the log's base", c.host())
	case verdict == check.Sound:
		return t.print("%s is sound: %s.", c.Dir, kept(r))
	case verdict == check.Torn:
		return c.cut(t, r)
	default:
		if err := t.print("%s", w.text()); err != nil {
			return err
		}
		return failf(exitSevere, "the files in %s are damaged, and no server is started on them", c.host()).
			with("Nothing has been changed.").
			with("safe:   cp -a %s %s.kept, before anything else", c.host(), c.host()).
			with("plan:   limpet repair --from %s --to %s.mended", c.host(), c.host())
	}
}

// verdictOfLogs leaves dumps out where there is a log, since no server reads them
// then.
func verdictOfLogs(r *check.Report) check.Verdict {
	if len(r.Logs) == 0 {
		return r.Verdict
	}
	logs := *r
	logs.Dumps = nil
	worst := check.Sound
	for _, p := range logs.All {
		worst = max(worst, p.Verdict)
	}
	return worst
}

// orphaned tells of files that no manifest names.
func orphaned(r *check.Report) bool {
	for _, p := range r.All {
		if p.Code == check.Orphans {
			return true
		}
	}
	return false
}

func kept(r *check.Report) string {
	commands, keys := 0, 0
	for _, l := range r.Logs {
		for _, f := range l.Live() {
			commands, keys = commands+f.Commands, keys+f.Keys
		}
	}
	if len(r.Logs) == 0 {
		return "a dump and no log"
	}
	return count(keys, "key") + " in an RDB, " + count(commands, "command")
}

// wantsLog tells whether a server that is started so keeps a log, by its command
// line and the file that this names. Of a configuration that cannot be read here, as
// that of a later Redis, only the command line's own words count.
func wantsLog(program []string) bool {
	if len(program) == 0 {
		return false
	}
	args, err := conf.SplitArgs(program[1:])
	if err == nil && !args.Stdin { // which is the server's to read
		if s, err := readSettings(conf.Parser{MissingDirOK: true}, args, "", ""); err == nil {
			return s.Get("appendonly") == "yes"
		}
	}
	return strings.Contains(strings.ToLower(strings.Join(program, " "))+" ", "--appendonly yes ")
}

// cut cuts the torn end of each log off, and keeps it beside.
func (c *guardCmd) cut(t terminal, r *check.Report) error {
	for _, l := range r.Logs {
		dir, err := aof.OpenDir(vfs.OS(), c.Dir, aof.Options{DirName: filepath.Base(l.Dir), FileName: l.Name})
		if err != nil {
			return failf(exitLocal, "%s", err)
		}
		plan, err := dir.Load()
		if err != nil {
			return failf(exitLocal, "%s", err)
		}
		done, err := plan.Replay(&passing{log: l})
		if err != nil {
			return failf(exitLocal, "%s", err).with("Nothing has been changed.")
		}
		if done.Cut == nil {
			continue
		}
		saved := filepath.Base(done.Cut.SavedAs)
		if err := c.owned(filepath.Join(filepath.Base(l.Dir), saved)); err != nil {
			return err
		}
		err = t.print("%s: %s ended inside a command or a transaction. Its last %d bytes are kept in %s; the %s before them are intact.",
			c.Dir, done.Cut.Torn.File, done.Cut.Bytes, saved, count(done.Commands, "command"))
		if err != nil {
			return err
		}
	}
	return nil
}

// passing loads nothing: what the files hold was checked already.
type passing struct {
	log *check.Log
	rdb int64 // of the file that was begun
}

func (p *passing) Begin(f aof.PlannedFile) {
	for _, known := range p.log.Files {
		if known.Path == f.Path {
			p.rdb = known.RDB
		}
	}
}

func (p *passing) Preamble(io.Reader) (int64, error) { return p.rdb, nil }
func (p *passing) Unit(aof.Unit) error               { return nil }

// become replaces this process by the program, which keeps the lock open without
// knowing of it.
func (c *guardCmd) become(lock io.Closer) error {
	path, err := exec.LookPath(c.Program[0])
	if err != nil {
		return failf(exitLocal, "cannot start %s: %s", c.Program[0], reason(err))
	}
	if f, ok := lock.(*os.File); ok {
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0); err != nil {
			return failf(exitLocal, "cannot keep the lock of %s: %s", c.Dir, reason(err))
		}
	}
	return failf(exitLocal, "cannot start %s: %s", path, reason(syscall.Exec(path, c.Program, os.Environ())))
}

// install puts this program into a directory, in one step.
func install(dir string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	in, err := os.Open(own)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(dir, ".limpet-")
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(0o755), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), filepath.Join(dir, "limpet"))
	}
	if err != nil {
		_ = os.Remove(out.Name())
	}
	return err
}

// give makes the owner the owner of everything.
func (c *guardCmd) give() error {
	if c.uid < 0 {
		return nil
	}
	for _, dir := range append([]string{c.Dir}, c.Also...) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return c.chown(path)
		})
		if err != nil {
			return failf(exitLocal, "cannot give %s to user %d: %s", c.host(), c.uid, reason(err)).
				with("Nothing is lost. Whoever may, has to do it:").
				with("mend:   sudo chown -R %d:%d %s", c.uid, c.gid, c.host()).
				with("else:   run as yourself, with LIMPET_UID=$(id -u) LIMPET_GID=$(id -g)")
		}
	}
	return nil
}

// owned gives a new file of ours to the owner.
func (c *guardCmd) owned(name string) error {
	if c.uid < 0 {
		return nil
	}
	if err := c.chown(filepath.Join(c.Dir, name)); err != nil {
		return failf(exitLocal, "cannot give %s to user %d: %s", name, c.uid, reason(err))
	}
	return nil
}

// chown changes the owner where it is another.
func (c *guardCmd) chown(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) == c.uid && int(s.Gid) == c.gid {
		return nil
	}
	return os.Lchown(path, c.uid, c.gid)
}

// writable tries what a server will do: make files, and append to those that are
// there.
func (c *guardCmd) writable() error {
	err := os.MkdirAll(c.Dir, 0o755)
	dirs := []string{c.Dir}
	if err == nil {
		err = filepath.WalkDir(c.Dir, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && path != c.Dir:
				dirs = append(dirs, path)
			case e.Type().IsRegular():
				return opens(path)
			}
			return nil
		})
	}
	for _, dir := range dirs {
		if err == nil {
			err = makesFiles(dir)
		}
	}
	if err == nil {
		return nil
	}
	at := c.Dir
	var path *fs.PathError
	if errors.As(err, &path) && path.Path != "" {
		at = path.Path
	}
	f := failf(exitLocal, "%s is not writable for user %d: %s: %s", c.host(), os.Getuid(), at, reason(err))
	if info, err := os.Stat(c.Dir); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			f = f.with("It belongs to user %d and group %d, with mode %s. Nothing has been changed.", s.Uid, s.Gid, info.Mode())
		}
	}
	if errors.Is(err, syscall.EROFS) {
		return f.with("mend:   mount it for writing: no :ro behind the volume, no ro in /etc/fstab")
	}
	return f.with("mend:   sudo chown -R %d:%d %s", os.Getuid(), os.Getgid(), c.host()).
		with("else:   run as yourself, with LIMPET_UID=$(id -u) LIMPET_GID=$(id -g)")
}

func opens(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func makesFiles(dir string) error {
	f, err := os.CreateTemp(dir, "temp-limpet-")
	if err != nil {
		return &fs.PathError{Op: "create", Path: dir, Err: errors.Unwrap(err)}
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
