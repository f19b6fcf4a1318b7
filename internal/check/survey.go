package check

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"limpet/aof"
	"limpet/vfs"
)

// dataName is how Redis names the files of a log: appendfilename, number, kind.
var dataName = regexp.MustCompile(`^(.+)\.(\d+)\.(base\.rdb|base\.aof|incr\.aof)$`)

// splitName takes the name of a log's file apart.
func splitName(name string) (log string, seq aof.Seq, t aof.Type, ok bool) {
	m := dataName.FindStringSubmatch(name)
	if m == nil {
		return "", 0, 0, false
	}
	n, err := strconv.ParseInt(m[2], 10, 64)
	if err != nil {
		return "", 0, 0, false
	}
	t = aof.Base
	if m[3] == "incr.aof" {
		t = aof.Incr
	}
	return m[1], aof.Seq(n), t, true
}

// temporary names in the data directory: Redis's rewrites and saves, and ours.
var tempName = regexp.MustCompile(`^temp-(rewriteaof-.*\.aof|\d+\.rdb|.+\.rdb)$`)

// listing is the plain files of a directory.
type listing map[string]fs.FileInfo

func list(fsys vfs.FS, dir string) (files listing, dirs []string, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	files = listing{}
	for _, e := range entries {
		info, err := fsys.Stat(filepath.Join(dir, e.Name())) // through symbolic links
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, nil, err
		case info.IsDir():
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		case info.Mode().IsRegular():
			files[e.Name()] = info
		}
	}
	return files, dirs, nil
}

func (l listing) names() []string { return slices.Sorted(maps.Keys(l)) }

// survey finds out what lies at a path, without reading into any log.
func survey(fsys vfs.FS, path string) (*Report, error) {
	r := &Report{Path: path}
	info, err := fsys.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return r, r.directory(fsys, path)
	}
	name := filepath.Base(path)
	switch manifest, err := isManifest(fsys, path); {
	case err != nil:
		return nil, err
	case manifest:
		files, _, err := list(fsys, filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		return r, r.log(fsys, filepath.Dir(path), strings.TrimSuffix(name, ".manifest"), name, files)
	case strings.HasSuffix(name, ".rdb") && !strings.HasSuffix(name, ".base.rdb"):
		r.Dumps = append(r.Dumps, fileOf(path, RoleDump, info))
	default:
		f := fileOf(path, RoleLog, info)
		f.Last = true
		r.Logs = append(r.Logs, &Log{Dir: filepath.Dir(path), Name: name, Files: []*File{f}})
	}
	return r, nil
}

func fileOf(path string, role Role, info fs.FileInfo) *File {
	return &File{Name: filepath.Base(path), Path: path, Role: role, Size: info.Size(), ModTime: info.ModTime()}
}

// directory surveys a data directory, or an append-only directory by itself.
func (r *Report) directory(fsys vfs.FS, home string) error {
	files, dirs, err := list(fsys, home)
	if err != nil {
		return err
	}
	for _, dir := range append([]string{home}, dirs...) {
		inside := files
		if dir != home {
			if inside, _, err = list(fsys, dir); err != nil {
				r.add(Unreadable, Damaged, "directory %s: %v", dir, err)
				continue
			}
		}
		for _, name := range logsIn(inside) {
			manifest := name + ".manifest"
			if inside[manifest] == nil {
				manifest = ""
			}
			if err := r.log(fsys, dir, name, manifest, inside); err != nil {
				return err
			}
		}
	}
	r.singleFiles(home, files)
	for _, name := range files.names() {
		switch {
		case tempName.MatchString(name):
			r.Temps = append(r.Temps, fileOf(filepath.Join(home, name), RoleTemp, files[name]))
			r.add(StrayTemp, Sound, "%s: %d bytes that an unfinished rewrite or save has left; nobody removes them", filepath.Join(home, name), files[name].Size())
		case strings.HasSuffix(name, ".rdb") && !dataName.MatchString(name):
			r.Dumps = append(r.Dumps, fileOf(filepath.Join(home, name), RoleDump, files[name]))
		}
	}
	return nil
}

// logsIn is the names of the logs that have files in a directory.
func logsIn(files listing) []string {
	found := map[string]bool{}
	for name := range files {
		log, isManifest := strings.CutSuffix(name, ".manifest")
		if !isManifest || strings.HasPrefix(name, "temp-") {
			var ok bool
			if log, _, _, ok = splitName(name); !ok {
				continue
			}
		}
		found[log] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// singleFiles finds logs of Redis before 7, which lie in the data directory
// itself. One that a log has taken over by name is that log's base, which a
// start moves in; one beside a log of its name is of no account.
func (r *Report) singleFiles(home string, files listing) {
	for _, name := range files.names() {
		if !strings.HasSuffix(name, ".aof") || dataName.MatchString(name) || tempName.MatchString(name) {
			continue
		}
		path := filepath.Join(home, name)
		i := slices.IndexFunc(r.Logs, func(l *Log) bool { return l.Name == name })
		switch {
		case i < 0 || r.Logs[i].Names != nil && len(r.Logs[i].Names.Live()) == 0:
			f := fileOf(path, RoleLog, files[name])
			f.Last = true
			r.Logs = append(r.Logs, &Log{Dir: home, Name: name, Files: []*File{f}})
		case r.Logs[i].Dir != home:
			r.add(StrayFile, Sound, "%s: the single-file log of Redis before 7, %d bytes; the log in %s counts, and this is not read", path, files[name].Size(), r.Logs[i].Dir)
		}
	}
}

// log surveys one log of many files.
func (r *Report) log(fsys vfs.FS, dir, name, manifest string, files listing) error {
	l := &Log{Dir: dir, Name: name}
	r.Logs = append(r.Logs, l)
	if manifest != "" {
		l.Manifest = filepath.Join(dir, manifest)
		text, err := vfs.ReadFile(fsys, l.Manifest)
		if err != nil {
			return err
		}
		if l.Names, l.Err = aof.ParseManifest(manifest, text); l.Err != nil {
			l.add(BadManifest, Damaged, "%s", plain(l.Err))
		}
	}
	m := l.Names
	if m == nil {
		m = new(aof.Manifest)
	}
	l.named(dir, m, files)
	l.unnamed(dir, m, files)
	return nil
}

// named takes the files that the manifest names.
func (l *Log) named(dir string, m *aof.Manifest, files listing) {
	live := m.Live()
	for i, e := range live {
		role := RoleIncr
		if e.Type == aof.Base {
			role = RoleBase
		}
		f := &File{Name: e.Name, Path: filepath.Join(dir, e.Name), Role: role}
		if info := files[e.Name]; info != nil {
			f = fileOf(f.Path, role, info)
		} else {
			f.add(Missing, Damaged, "named by the manifest, and not there")
		}
		f.Seq, f.Last = e.Seq, i == len(live)-1
		l.Files = append(l.Files, f)
	}
	for _, e := range m.History {
		if info := files[e.Name]; info != nil {
			f := fileOf(filepath.Join(dir, e.Name), RoleHistory, info)
			f.Seq = e.Seq
			l.Files = append(l.Files, f)
		}
	}
}

// unnamed sorts the files of a log's names that its manifest does not know. With
// data in them they are orphans where a new log would overwrite them, which is
// what package aof refuses: any where nothing is named, else incrs later than
// the last one named.
func (l *Log) unnamed(dir string, m *aof.Manifest, files listing) {
	known := map[string]bool{}
	last := aof.Seq(0)
	for _, e := range append(m.Live(), m.History...) {
		known[e.Name] = true
		if e.Type == aof.Incr {
			last = max(last, e.Seq)
		}
	}
	var orphans []string
	for _, name := range files.names() {
		info := files[name]
		if strings.HasPrefix(name, "temp-"+l.Name+".") {
			l.Temps = append(l.Temps, fileOf(filepath.Join(dir, name), RoleTemp, info))
			l.add(StrayTemp, Sound, "%s: %d bytes that an unfinished step has left; limpet removes it at its next start", filepath.Join(dir, name), info.Size())
			continue
		}
		log, seq, t, ok := splitName(name)
		if !ok || log != l.Name || known[name] {
			continue
		}
		f := fileOf(filepath.Join(dir, name), RoleOther, info)
		f.Seq = seq
		l.Files = append(l.Files, f)
		if info.Size() > 0 && (len(m.Live()) == 0 || t == aof.Incr && seq > last) {
			orphans = append(orphans, name)
			continue
		}
		f.add(StrayFile, Sound, "%d bytes that the manifest does not name, and no server reads", info.Size())
	}
	switch {
	case len(orphans) == 0 || l.Err != nil:
	case l.Manifest == "":
		l.add(Orphans, Damaged, "no manifest names %s: redis-server starts empty and then writes into them", strings.Join(orphans, ", "))
	default:
		l.add(Orphans, Damaged, "the manifest does not name %s, which are newer than what it names: redis-server overwrites them", strings.Join(orphans, ", "))
	}
}

// plain is an error of this project without the names of packages in front.
func plain(err error) string {
	text := err.Error()
	for _, prefix := range []string{"aof: ", "rdb: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// isManifest goes by the name as well as by what is in the file: a damaged
// manifest is none the less one.
func isManifest(fsys vfs.FS, path string) (bool, error) {
	if strings.HasSuffix(path, ".manifest") {
		return true, nil
	}
	head, err := headOf(fsys, path, 64<<10)
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(head)) {
		if line[0] != '#' {
			return strings.HasPrefix(line, "file"), nil
		}
	}
	return false, nil
}

func headOf(fsys vfs.FS, path string, n int) ([]byte, error) {
	f, err := vfs.Open(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, n)
	n, _ = f.ReadAt(head, 0)
	return head[:n], nil
}
