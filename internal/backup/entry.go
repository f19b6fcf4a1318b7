package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"limpet/internal/digest"
	"limpet/internal/hotcopy"
	"limpet/internal/target"
)

// Entry is a backup in the catalogue. It is written once.
type Entry struct {
	Format int          `json:"format"` // of this object; entries of a later one are not read
	ID     string       `json:"id"`     // begins with the time, so that ids sort by it
	Kind   hotcopy.Kind `json:"kind"`
	Source Source       `json:"source"`

	Began  time.Time `json:"began"` // the backup
	Ended  time.Time `json:"ended"`
	Time   time.Time `json:"time"`             // the moment whose state it holds
	Since  time.Time `json:"since,omitzero"`   // when its oldest file was begun
	Dated  time.Time `json:"dated,omitzero"`   // its newest command, by the server's own annotations
	End    *Position `json:"end,omitempty"`    // where a log ends
	Server string    `json:"server,omitempty"` // version of the server that wrote it
	RDB    int       `json:"rdb,omitempty"`    // highest version of RDB in it
	Tool   string    `json:"tool"`

	Encrypted bool        `json:"encrypted"`
	Files     []File      `json:"files"`          // in the order in which they are restored
	Data      *digest.Sum `json:"data,omitempty"` // nil: nobody has loaded it yet
}

// Position is where a copy of a log ends.
type Position = hotcopy.Position

// Source is where a backup was taken.
type Source struct {
	Host string `json:"host,omitempty"`
	Dir  string `json:"dir"`
}

// File is a file of a backup.
type File struct {
	Name   string `json:"name"`   // in the data directory, with slashes
	Size   int64  `json:"size"`   // bytes of the file itself
	SHA256 string `json:"sha256"` // of these
	Object string `json:"object"` // key at the target
	Stored int64  `json:"stored"` // bytes there
}

// Size is the bytes of all files.
func (e *Entry) Size() (n int64) {
	for _, f := range e.Files {
		n += f.Size
	}
	return n
}

// Stored is the bytes that the backup takes at the target.
func (e *Entry) Stored() (n int64) {
	for _, f := range e.Files {
		n += f.Stored
	}
	return n
}

// Layout is how the backup lies in a data directory.
func (e *Entry) Layout() hotcopy.Layout {
	var names []string
	for _, f := range e.Files {
		names = append(names, f.Name)
	}
	return hotcopy.LayoutOf(e.Kind, names...)
}

// Listed is an entry with the newest proof.
type Listed struct {
	Entry
	Proof *Proof `json:"proof,omitempty"` // the newest one
}

// Verified tells that the newest verification found nothing wrong.
func (l *Listed) Verified() bool { return l.Proof != nil && l.Proof.OK }

const (
	entryFormat = 1
	catalogue   = "catalogue/"
	entryName   = "/backup.json"
	proofPrefix = "/proof-"
	objects     = "backups/"

	// idTime sorts as text in the order of time.
	idTime = "20060102T150405.000Z"
)

func newID(at time.Time) string {
	return at.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text()[:6])
}

func entryKey(id string) string { return catalogue + id + entryName }

// NotFoundError says that there is no such backup.
type NotFoundError struct {
	Target, ID string // no ID: there is none at all
}

func (e *NotFoundError) Error() string {
	if e.ID == "" {
		return fmt.Sprintf("%s: no backups", e.Target)
	}
	return fmt.Sprintf("%s: no backup %s", e.Target, e.ID)
}

// at is how many objects are read at a time, since each takes a round trip.
const at = 16

// List gives all backups, oldest first.
func List(ctx context.Context, s *target.Store) ([]Listed, error) {
	found, err := s.List(ctx, catalogue)
	if err != nil {
		return nil, err
	}
	keys := map[string][]string{} // by id: the entry and the newest proof
	for _, o := range found {
		id, name, _ := strings.Cut(strings.TrimPrefix(o.Key, catalogue), "/")
		switch {
		case "/"+name == entryName:
			keys[id] = append([]string{o.Key}, keys[id]...)
		case strings.HasPrefix("/"+name, proofPrefix):
			keys[id] = append(keys[id], o.Key)
		}
	}
	var (
		mu    sync.Mutex // guards the two below
		all   []Listed
		first error
		gate  = make(chan struct{}, at)
		done  sync.WaitGroup
	)
	for id, of := range keys {
		if of[0] != entryKey(id) { // its entry has gone
			continue
		}
		done.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			l, err := read(ctx, s, of)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				all = append(all, *l)
			case !errors.Is(err, target.ErrNotFound): // else it was deleted just now
				first = errors.Join(first, err)
			}
		})
	}
	done.Wait()
	if first != nil {
		return nil, first
	}
	slices.SortFunc(all, func(a, b Listed) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// read reads an entry and the last of the proofs behind it.
func read(ctx context.Context, s *target.Store, keys []string) (*Listed, error) {
	l := &Listed{}
	if err := readJSON(ctx, s, keys[0], &l.Entry); err != nil {
		return nil, err
	}
	if l.Format > entryFormat {
		return nil, fmt.Errorf("%s: %s: of format %d: this version reads up to %d", s, keys[0], l.Format, entryFormat)
	}
	if len(keys) > 1 {
		l.Proof = &Proof{}
		if err := readJSON(ctx, s, keys[len(keys)-1], l.Proof); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Find gives the backup of an id or of the beginning of one, the newest for "".
func Find(ctx context.Context, s *target.Store, id string) (*Listed, error) {
	all, err := List(ctx, s)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(l Listed) bool { return !strings.HasPrefix(l.ID, id) })
	switch {
	case len(all) == 0:
		return nil, &NotFoundError{s.String(), id}
	case id != "" && len(all) > 1 && all[len(all)-1].ID != id:
		return nil, fmt.Errorf("%s: %d backups begin with %s: want more of it", s, len(all), id)
	}
	return &all[len(all)-1], nil
}

func readJSON(ctx context.Context, s *target.Store, key string, v any) error {
	r, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	text, err := io.ReadAll(io.LimitReader(r, 64<<20))
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", s, key, err)
	}
	return nil
}

func createJSON(ctx context.Context, s *target.Store, key string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return s.Create(ctx, key, strings.NewReader(string(text)+"\n"))
}

// objectKey names the object of a file. The file's own name may hold anything.
func objectKey(id string, n int, name string, encrypted bool) string {
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, path.Base(name))
	key := fmt.Sprintf("%s%s/%03d-%s.zst", objects, id, n, readable[:min(len(readable), 100)])
	if encrypted {
		key += ".age"
	}
	return key
}
