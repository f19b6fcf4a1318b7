package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"limpet/internal/backup"
	"limpet/internal/command"
	"limpet/internal/hotcopy"
	"limpet/internal/usage"
	"limpet/vfs"
)

// duCmd says what a store takes, from its files.
type duCmd struct {
	Path string `arg:"" optional:"" name:"path" help:"An RDB file, instead of a directory: only what its keys take."`
	Dir  string `env:"LIMPET_DIR" default:"./volumes/redis" type:"path" placeholder:"DIR" help:"Data directory, of Limpet's or of a real Redis's (${default})."`
	namesFlags
	Memory    bool   `help:"Read the data as well, and say what the keys take in memory, by patterns of their names."`
	Load      string `enum:"auto,yes,no" default:"auto" help:"With --memory: load the log in a scratch directory, since its commands change what the base has: yes, no (the keys as of the last rewrite), or auto, where there is memory for it (${default})."`
	Scratch   string `env:"LIMPET_SCRATCH" placeholder:"DIR" help:"Where temporary files go; the system's place for them without it."`
	Separator string `default:":" help:"What stands between the parts of a key (${default})."`
	Depth     int    `name:"pattern-depth" placeholder:"N" help:"Tell only the first N parts of a key apart."`
	Top       int    `default:"20" placeholder:"N" help:"How many patterns, and files, to print (${default}); 0 is all."`
	JSON      bool   `name:"json" help:"Print JSON: everything, whatever --top says."`
}

// Help follows the summary in `limpet du --help`.
func (c *duCmd) Help() string {
	return "It needs no server, only reads, and may be used while one writes and rewrites. What is said of memory is an estimate, of what a Redis 7 takes. " +
		"Exit code 1: something could not be read, and the answer is of the rest. docs/stat.md tells more."
}

// Validate checks what does not need the machine to tell.
func (c *duCmd) Validate() error {
	switch {
	case c.Separator == "":
		return errors.New("--separator: want at least one character")
	case c.Depth < 0:
		return fmt.Errorf("--pattern-depth %d: want 1 or more", c.Depth)
	case c.Top < 0:
		return fmt.Errorf("--top %d: want 1 or more, or 0 for all", c.Top)
	}
	return nil
}

// duReport is all that is found.
type duReport struct {
	Disk   *usage.Disk   `json:"disk,omitempty"`
	Saving *usage.Saving `json:"rewrite_would_save,omitempty"` // an estimate
	Memory *duMemory     `json:"memory,omitempty"`             // an estimate
	Unread string        `json:"unread,omitempty"`             // what could not be read, and why
	Notes  []string      `json:"notes,omitempty"`
}

// duMemory is an account of keys, and of when.
type duMemory struct {
	Source string     `json:"source"` // what was read
	AsOf   *time.Time `json:"as_of,omitempty"`
	Kind   string     `json:"kind"` // that it is an estimate, and of what
	*usage.Memory
}

const duKind = "estimate of what a Redis 7 takes"

// Run looks at the files and tells.
func (c *duCmd) Run(ctx context.Context, t terminal) error {
	r, err := c.examine(ctx, t)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(t, r)
	} else {
		err = t.print("%s", c.text(r))
	}
	if err == nil && (r.Unread != "" || r.Disk != nil && r.Disk.Problem != "") {
		return &failure{code: exitNo}
	}
	return err
}

func (c *duCmd) examine(ctx context.Context, t terminal) (*duReport, error) {
	r := &duReport{}
	if info, err := os.Stat(c.Path); c.Path != "" && err == nil && !info.IsDir() {
		return r, c.readFile(t, r)
	} else if c.Path != "" && err == nil {
		c.Dir = c.Path
	} else if c.Path != "" {
		return nil, failf(exitLocal, "cannot read %s: %s", c.Path, reason(err))
	}
	o := hotcopy.Options{Dir: c.Dir, AppendDirName: c.Appenddirname, AppendFileName: c.Appendfilename, DBFileName: c.Dbfilename}
	d, err := usage.Look(o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, failf(exitLocal, "cannot read %s: there is no such directory", c.Dir).
			with("ask it:  redis-cli CONFIG GET dir").with("then:    limpet du --dir DIR")
	}
	if err != nil {
		return nil, failf(exitLocal, "cannot read %s: %s", c.Dir, reason(err))
	}
	r.Disk, r.Saving = d, d.Saving()
	if c.Memory {
		return r, c.readKeys(ctx, t, r, o)
	}
	return r, nil
}

func (c *duCmd) shape() usage.Shape {
	return usage.Shape{Separator: c.Separator, Depth: c.Depth}
}

// readFile reads an RDB by itself.
func (c *duCmd) readFile(t terminal, r *duReport) error {
	f, err := vfs.Open(vfs.OS(), c.Path)
	if err != nil {
		return failf(exitLocal, "cannot read %s: %s", c.Path, reason(err))
	}
	defer func() { _ = f.Close() }()
	c.account(t, r, c.Path, c.Path, f, sizeOfFile(f))
	return nil
}

func sizeOfFile(f vfs.File) int64 {
	if info, err := f.Stat(); err == nil {
		return info.Size()
	}
	return 0
}

// account reads an RDB into the report. What is damaged ends it; what comes before
// is told.
func (c *duCmd) account(t terminal, r *duReport, source, path string, from io.Reader, size int64) {
	bar := newBytesBar(t, "reading")
	bar.begin(size)
	m := usage.NewMemory(c.shape())
	err := m.AddRDB(counting{from, bar.add})
	bar.end()
	m.Close()
	r.Memory = &duMemory{Source: source, Kind: duKind, Memory: m}
	if err != nil {
		r.Unread = fmt.Sprintf("%s, behind its first %d keys: %s", path, m.Keys, err)
	}
}

// counting tells how much has been read.
type counting struct {
	io.Reader
	count func(int64)
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.count(int64(n))
	return n, err
}

// readKeys takes a copy of the directory as its server runs on, and accounts for
// the keys in it: from the RDB alone where the log has nothing behind it, else
// after having our own store load all of it, since only a store knows what a
// command makes of a key.
func (c *duCmd) readKeys(ctx context.Context, t terminal, r *duReport, o hotcopy.Options) error {
	copied, err := hotcopy.Take(ctx, o)
	var stale *hotcopy.StaleError
	if errors.As(err, &stale) {
		r.Notes = append(r.Notes, "the dump is newer than the log; the keys are those of the log, as a server with appendonly yes has them")
		o.Kind = hotcopy.AOF
		copied, err = hotcopy.Take(ctx, o)
	}
	var nothing *hotcopy.NothingError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &nothing):
		r.Notes = append(r.Notes, "there are no data here: "+nothing.Missing+" is missing")
		return nil
	case err != nil:
		return c.readBase(t, r, err)
	}
	defer func() { _ = copied.Close() }()
	first := copied.Files[0]
	isRDB := copied.Format > 0 && filepath.Ext(first.Name) == ".rdb"
	if isRDB && copied.Position.Commands == 0 {
		c.account(t, r, first.Name, first.Name, first.Reader(), first.Size)
		c.dated(r, copied.Time)
		return nil
	}
	why := c.whyNotLoad(copied)
	if why == "" {
		why, err = c.load(ctx, t, r, copied)
		if err != nil {
			return err
		}
	}
	if why == "" {
		return nil
	}
	if !isRDB {
		r.Unread = "the keys: " + why
		return nil
	}
	c.account(t, r, first.Name+", as of the last rewrite", first.Name, first.Reader(), first.Size)
	c.dated(r, copied.Since)
	if r.Unread == "" {
		r.Unread = fmt.Sprintf("the %d commands since then: %s", copied.Position.Commands, why)
	}
	return nil
}

func (c *duCmd) dated(r *duReport, at time.Time) {
	if r.Memory != nil && !at.IsZero() {
		at = at.UTC()
		r.Memory.AsOf = &at
	}
}

// whyNotLoad says why a log is not loaded, "" when it can be.
func (c *duCmd) whyNotLoad(copied *hotcopy.Copy) string {
	// A data set takes up to four times the memory of its files.
	need, free := 4*copied.Size(), freeMemory()
	switch {
	case c.Load == "no":
		return "not loaded (--load no)"
	case c.Load == "auto" && free > 0 && need > free/2:
		return fmt.Sprintf("not loaded, since it might take %s of memory (--load yes does it all the same)", bytesText(need))
	}
	return ""
}

// load has our own store load a copy, and accounts for what it then holds. The
// size of what it writes is that of the base that a rewrite would make.
func (c *duCmd) load(ctx context.Context, t terminal, r *duReport, copied *hotcopy.Copy) (why string, err error) {
	dir, remove, err := scratch(c.Scratch)
	if err != nil {
		return "", err
	}
	defer remove()
	err = backup.Loaded(ctx, copied, ownStore{}, backup.VerifyOptions{Scratch: dir}, func(dump vfs.File) error {
		size := sizeOfFile(dump)
		c.account(t, r, fmt.Sprintf("%s, %d files, loaded", copied.Kind, len(copied.Files)), "what was loaded", dump, size)
		r.Saving = r.Disk.SavingAt(size)
		return nil
	})
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	var cannot *backup.CannotError
	var unknown command.UnknownCommandError
	switch {
	case errors.As(err, &cannot):
		return cannot.What, nil
	case errors.As(err, &unknown):
		return "it does not know " + unknown.Name, nil
	case err != nil:
		return err.Error(), nil
	}
	c.dated(r, copied.Time)
	return "", nil
}

// readBase reads what it can where no copy can be taken: the base, which stands
// for the last rewrite.
func (c *duCmd) readBase(t terminal, r *duReport, because error) error {
	for _, class := range []usage.Class{usage.Base, usage.Dump} {
		for _, f := range r.Disk.Files {
			if f.Class != class || filepath.Ext(f.Name) != ".rdb" {
				continue
			}
			file, err := vfs.Open(vfs.OS(), filepath.Join(c.Dir, filepath.FromSlash(f.Name)))
			if err != nil {
				continue
			}
			c.account(t, r, f.Name+", as of when it was written", f.Name, file, f.Bytes)
			if info, err := file.Stat(); err == nil {
				c.dated(r, info.ModTime())
			}
			_ = file.Close()
			if r.Unread == "" {
				r.Unread = "the rest of the data: " + because.Error()
			}
			return nil
		}
	}
	r.Unread = "the data: " + because.Error()
	return nil
}
