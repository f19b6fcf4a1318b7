package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"limpet/internal/digest"
	"limpet/internal/hotcopy"
	"limpet/internal/target"
	"limpet/vfs"
)

// Loader is a server that can load a data directory and write down what it then
// holds. limpet's own store is one, a real redis-server another.
type Loader interface {
	Name() string // with its version
	// Load loads the data directory, which it may change, and lets no key expire:
	// what it finds does not depend on when it looks. dump is the path of an RDB
	// of all keys. A *CannotError says that it is not the data's fault.
	Load(ctx context.Context, dir string, l hotcopy.Layout) (dump string, err error)
	// Reads tells up to which version of RDB it can.
	Reads() int
}

// CannotError says that a server knows less than the one that wrote the data.
type CannotError struct{ What string }

func (e *CannotError) Error() string { return e.What }

// Proof is what a verification has found.
type Proof struct {
	Time   time.Time   `json:"time"`
	Tool   string      `json:"tool"`
	OK     bool        `json:"ok"`
	Files  string      `json:"files"` // "ok", or which one is not, and how
	Drills []Drill     `json:"drills"`
	Data   *digest.Sum `json:"data,omitempty"` // what was loaded, when all agree
}

// Drill is what one server made of the restored directory.
type Drill struct {
	Loader string        `json:"loader"`
	Keys   int64         `json:"keys"`
	Took   time.Duration `json:"took_ns"`
	Result string        `json:"result"` // "ok", or what is wrong; "not tried: …" is no failure
}

// Failed gives the first thing that is wrong, "" for none.
func (p *Proof) Failed() string {
	if p.Files != fine {
		return p.Files
	}
	for _, d := range p.Drills {
		if d.Result != fine && !strings.HasPrefix(d.Result, notTried) {
			return d.Loader + ": " + d.Result
		}
	}
	return ""
}

const (
	fine     = "ok"
	notTried = "not tried: "
)

// VerifyOptions of Verify.
type VerifyOptions struct {
	RestoreOptions
	Tool string
	// Scratch is an empty directory for restored files; it is emptied again. They
	// take the size of the backup there, and about as much again.
	Scratch string
	Loaders []Loader
}

// Verify restores a backup into a scratch directory, has it loaded, compares, and
// writes down what it found. The error is about what kept it from finding out; a
// proof may say that the backup is bad.
func Verify(ctx context.Context, s *target.Store, l *Listed, o VerifyOptions) (p *Proof, err error) {
	o.RestoreOptions = o.withDefaults()
	p = &Proof{Tool: o.Tool, Drills: []Drill{}}
	err = reading(ctx, s, &l.Entry, o.RestoreOptions, "verify", func() error {
		restored := filepath.Join(o.Scratch, "restored")
		defer func() { err = errors.Join(err, removeAll(o.FS, restored)) }()
		if err := restore(ctx, s, &l.Entry, restored, o.RestoreOptions); err != nil {
			return p.blame(ctx, err)
		}
		p.Files = fine
		return p.drill(ctx, l, restored, o)
	})
	if err != nil {
		return nil, err
	}
	p.Time = o.Clock.Now().UTC()
	p.OK = p.Failed() == ""
	key := catalogue + l.ID + proofPrefix + p.Time.Format(idTime) + ".json"
	return p, createJSON(ctx, s, key, p)
}

// blame makes an error of restoring the finding, when it is the backup's fault.
func (p *Proof) blame(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !IsBad(err) {
		return err
	}
	p.Files = err.Error()
	return nil
}

func (p *Proof) drill(ctx context.Context, l *Listed, restored string, o VerifyOptions) error {
	want, whose := l.Data, "the backup"
	if want == nil && l.Proof != nil && l.Proof.OK {
		want, whose = l.Proof.Data, "the verification before"
	}
	for _, loader := range o.Loaders {
		d := Drill{Loader: loader.Name(), Result: fine}
		if loader.Reads() < l.RDB {
			d.Result = fmt.Sprintf("%sthe backup holds an RDB of version %d, it reads up to %d", notTried, l.RDB, loader.Reads())
			p.Drills = append(p.Drills, d)
			continue
		}
		began := o.Clock.Now()
		got, err := drillWith(ctx, loader, restored, &l.Entry, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.Took = o.Clock.Now().Sub(began)
		var cannot *CannotError
		switch {
		case errors.As(err, &cannot):
			d.Result = notTried + cannot.What
		case err != nil:
			d.Result = err.Error()
		case want == nil:
			want, whose = got, loader.Name()
			fallthrough
		default:
			d.Keys = got.Keys()
			if diff := want.Difference(*got); diff != "" {
				d.Result = fmt.Sprintf("compared with %s: %s", whose, diff)
			}
		}
		p.Drills = append(p.Drills, d)
	}
	p.Data = want
	return nil
}

// drillWith has a server load a copy of a restored directory.
func drillWith(ctx context.Context, loader Loader, dir string, e *Entry, o VerifyOptions) (sum *digest.Sum, err error) {
	drill := filepath.Join(o.Scratch, "drill")
	defer func() { err = errors.Join(err, removeAll(o.FS, drill)) }()
	if err := cloneDir(o.FS, dir, drill, e); err != nil {
		return nil, err
	}
	return load(ctx, loader, drill, e.Layout(), o.FS)
}

// load has a server load a directory and sums up what it holds.
func load(ctx context.Context, loader Loader, dir string, l hotcopy.Layout, fsys vfs.FS) (*digest.Sum, error) {
	var got digest.Sum
	err := loaded(ctx, loader, dir, l, fsys, func(dump vfs.File) (err error) {
		if got, _, err = digest.Of(dump); err != nil {
			return fmt.Errorf("what it wrote cannot be read: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &got, nil
}

// loaded has a server load a directory and hands out the RDB of what it holds.
func loaded(ctx context.Context, loader Loader, dir string, l hotcopy.Layout, fsys vfs.FS, use func(dump vfs.File) error) error {
	dump, err := loader.Load(ctx, dir, l)
	if err != nil {
		return err
	}
	f, err := vfs.Open(fsys, dump)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return use(f)
}

// cloneDir gives a server a directory that it may change: RDBs, which nobody
// writes into, by a link; logs, which are appended to, and the manifest by a copy.
func cloneDir(fsys vfs.FS, from, to string, e *Entry) error {
	for _, f := range e.Files {
		src, dst := filepath.Join(from, filepath.FromSlash(f.Name)), filepath.Join(to, filepath.FromSlash(f.Name))
		if err := fsys.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		if strings.HasSuffix(f.Name, ".rdb") && fsys.Link(src, dst) == nil {
			continue
		}
		if err := copyFile(fsys, src, dst); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(fsys vfs.FS, from, to string) error {
	src, err := vfs.Open(fsys, from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	return writeFile(fsys, to, src)
}

// Measure sums up a copy before it is backed up, by having it loaded from a
// scratch directory.
func Measure(ctx context.Context, c *hotcopy.Copy, loader Loader, o VerifyOptions) (sum *digest.Sum, err error) {
	o.RestoreOptions = o.withDefaults()
	err = onScratch(ctx, c, o, func(dir string) error {
		sum, err = load(ctx, loader, dir, c.Layout(), o.FS)
		return err
	})
	return sum, err
}

// Loaded has a copy loaded from a scratch directory and hands out the RDB of what
// it then holds, which is gone when use returns.
func Loaded(ctx context.Context, c *hotcopy.Copy, loader Loader, o VerifyOptions, use func(dump vfs.File) error) error {
	o.RestoreOptions = o.withDefaults()
	return onScratch(ctx, c, o, func(dir string) error {
		return loaded(ctx, loader, dir, c.Layout(), o.FS, use)
	})
}

// onScratch writes a copy into a scratch directory, which is gone when use returns.
func onScratch(ctx context.Context, c *hotcopy.Copy, o VerifyOptions, use func(dir string) error) (err error) {
	drill := filepath.Join(o.Scratch, "measure")
	defer func() { err = errors.Join(err, removeAll(o.FS, drill)) }()
	for _, f := range c.Files {
		dst := filepath.Join(drill, filepath.FromSlash(f.Name))
		if err := o.FS.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		if err := writeFile(o.FS, dst, interruptible{ctx, f.Reader()}); err != nil {
			return err
		}
	}
	return use(drill)
}

func writeFile(fsys vfs.FS, name string, r io.Reader) error {
	f, err := fsys.OpenFile(name, vfs.O_WRONLY|vfs.O_CREATE|vfs.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// interruptible ends a copy when ctx does.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
