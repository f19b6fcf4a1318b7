package check

import (
	"bytes"
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"limpet/vfs"
)

// Options of [Inspect]; the zero value reads in silence.
type Options struct {
	// Begin is told how many bytes there are to read, once the files are known.
	Begin func(total int64)
	// Progress is told of bytes that were read, from several goroutines.
	Progress func(bytes int64)
}

// Survey finds out what lies at a path, and reads no further than manifests.
func Survey(fsys vfs.FS, path string) (*Report, error) { return survey(fsys, path) }

// Inspect reads every file of the store at a path: a data directory, an
// append-only directory, a manifest, a log or an RDB. It never writes. Damage is
// in the report; an error is what kept it from looking.
//
// A server may be at work meanwhile: what it is in the middle of writing is no
// damage, and when it rotates its log everything is looked at again.
func Inspect(ctx context.Context, fsys vfs.FS, path string, o Options) (*Report, error) {
	const tries = 3
	for try := 1; ; try++ {
		r, err := inspectOnce(ctx, fsys, path, o)
		if err != nil {
			return nil, err
		}
		if r.same(fsys) {
			r.judge()
			return r, nil
		}
		if try == tries {
			r.add(Changing, Sound, "the manifest changed each of %d times: a server rewrites its log again and again; what is said here may be of files that are gone", tries)
			r.judge()
			return r, nil
		}
		o.Begin = nil // a bar has one total
	}
}

func inspectOnce(ctx context.Context, fsys vfs.FS, path string, o Options) (*Report, error) {
	r, err := survey(fsys, path)
	if err != nil {
		return nil, err
	}
	var files []*File
	for _, l := range r.Logs {
		for _, f := range l.Files {
			if f.Role != RoleHistory && len(f.Problems) == 0 {
				files = append(files, f)
			}
		}
	}
	files = append(files, r.Dumps...)
	for _, f := range files {
		r.Bytes += f.Size
	}
	if len(r.Logs)+len(r.Dumps) == 0 {
		r.add(NothingHere, Damaged, "no log and no dump of a store here")
	}
	if o.Begin != nil {
		o.Begin(r.Bytes)
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	r.read(ctx, fsys, files, o)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, l := range r.Logs {
		l.compare(fsys)
	}
	r.compareDumps()
	return r, nil
}

// read reads the files, several at a time: an RDB keeps one processor busy.
func (r *Report) read(ctx context.Context, fsys vfs.FS, files []*File, o Options) {
	var workers sync.WaitGroup
	next := make(chan *File)
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		workers.Go(func() {
			for f := range next {
				if err := readFile(ctx, fsys, f, o.Progress); err != nil {
					f.add(Unreadable, Damaged, "%s", reason(err)).Err = err
				}
			}
		})
	}
	for _, f := range files {
		next <- f
	}
	close(next)
	workers.Wait()
}

// same tells whether the manifests are still those that were surveyed.
func (r *Report) same(fsys vfs.FS) bool {
	return !slices.ContainsFunc(r.Logs, func(l *Log) bool {
		if l.Names == nil {
			return false
		}
		now := &Log{}
		text, err := vfs.ReadFile(fsys, l.Manifest)
		if err == nil {
			now.Names, err = parseManifest(l.Manifest, text)
		}
		return err != nil || !bytes.Equal(now.Names.Encode(), l.Names.Encode())
	})
}

// compare looks at what only shows between the files of a log.
func (l *Log) compare(fsys vfs.FS) {
	live := l.Live()
	var latest *File
	for i, f := range live {
		l.hole(i, live)
		if latest != nil && f.From != nil && f.From.Before(*latest.To) {
			f.add(TimeGoesBack, Damaged, "begins at %s, but %s before it ends at %s: the files are not in the order in which they were written",
				f.From.Format(time.RFC3339), latest.Name, latest.To.Format(time.RFC3339))
		}
		if f.To != nil && (latest == nil || f.To.After(*latest.To)) {
			latest = f
		}
		for _, earlier := range live[:i] {
			if f.Size > 0 && f.Size == earlier.Size && len(f.Problems)+len(earlier.Problems) == 0 && sameBytes(fsys, f, earlier) {
				f.add(SameBytes, Sound, "has the same bytes as %s: if one was copied over the other, everything in it counts twice", earlier.Name)
			}
		}
	}
}

// hole raises a torn end to damage where another file follows.
func (l *Log) hole(i int, live []*File) {
	f := live[i]
	if f.Last || i+1 == len(live) {
		return
	}
	for n, p := range f.Problems {
		if p.Verdict == Torn {
			if p.Code != OpenMulti {
				f.Problems[n].Code = Hole
			}
			f.Problems[n].Verdict = Damaged
			f.Problems[n].Text += "; but " + live[i+1].Name + " follows, so there is a hole in the log"
		}
	}
}

func sameBytes(fsys vfs.FS, a, b *File) bool {
	const piece = 256 << 10
	fa, errA := vfs.Open(fsys, a.Path)
	if errA != nil {
		return false
	}
	defer func() { _ = fa.Close() }()
	fb, errB := vfs.Open(fsys, b.Path)
	if errB != nil {
		return false
	}
	defer func() { _ = fb.Close() }()
	bufA, bufB := make([]byte, piece), make([]byte, piece)
	for off := int64(0); off < a.Size; off += piece {
		na, _ := fa.ReadAt(bufA, off)
		nb, _ := fb.ReadAt(bufB, off)
		if !bytes.Equal(bufA[:na], bufB[:nb]) {
			return false
		}
	}
	return true
}

// compareDumps tells of dumps that are newer than the log beside them. Time
// alone proves nothing (a save point comes after the last change), so it is for
// people to judge.
func (r *Report) compareDumps() {
	if len(r.Logs) != 1 {
		return
	}
	var latest time.Time
	for _, f := range r.Logs[0].Live() {
		if f.ModTime.After(latest) {
			latest = f.ModTime
		}
	}
	for _, f := range r.Dumps {
		age := f.ModTime.Sub(latest)
		if latest.IsZero() || age < time.Second || filepath.Dir(f.Path) != r.Path {
			continue
		}
		f.add(DumpNewer, Sound, "written %v after the log's last change; a server with appendonly yes reads the log and ignores the dump: if the log was switched off in between, the dump is what is right",
			age.Round(time.Second))
	}
}
