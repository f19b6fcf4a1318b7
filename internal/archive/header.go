package archive

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"time"

	"limpet/aof"
)

// Timeline is how a timeline began.
type Timeline struct {
	Number   uint64    `json:"timeline"`
	Started  time.Time `json:"started"` // by the archiver's clock
	Reason   string    `json:"reason"`  // first, gap, truncated, replaced, torn, damaged, lost
	Why      string    `json:"why"`     // the reason in words
	Source   string    `json:"source"`  // host and directory
	Lease    uint64    `json:"lease"`
	DirName  string    `json:"appenddirname"`
	FileName string    `json:"appendfilename"`
	// First is the number of the first command behind the first base. Numbers go
	// on over timelines, so that each is one place in the whole archive.
	First     uint64    `json:"firstCommand"`
	Incr      aof.Seq   `json:"incr"` // where it begins: before any command of this file
	Inode     uint64    `json:"inode"`
	Base      aof.Seq   `json:"base"` // 0 is none: the log begins with nothing
	BaseInode uint64    `json:"baseInode"`
	Previous  *Previous `json:"previous,omitempty"`
}

// Previous is where the timeline before ends.
type Previous struct {
	Timeline uint64    `json:"timeline"`
	Segment  uint64    `json:"segment"` // its last, 0 when it has none
	Hash     Hash      `json:"hash"`
	Until    time.Time `json:"until"` // everything written up to then is in it
}

// Base is the header of a base. Its body is the file.
type Base struct {
	Timeline uint64    `json:"timeline"`
	Segment  uint64    `json:"segment"` // it stands before this one
	Prev     Hash      `json:"prev"`    // of the header before that segment
	Command  uint64    `json:"command"` // number of the first command behind it
	Seq      aof.Seq   `json:"seq"`     // 0: there is no base, the log begins with nothing
	Incr     aof.Seq   `json:"incr"`    // it stands before this file
	Name     string    `json:"name"`
	Size     int64     `json:"size"` // of the file
	Sum      Hash      `json:"sum"`  // of the file
	Seen     time.Time `json:"seen"`
}

// Segment is the header of a segment. Its body is the bytes from Start to End of
// an incr file.
type Segment struct {
	Timeline  uint64  `json:"timeline"`
	Number    uint64  `json:"segment"`
	Lease     uint64  `json:"lease"`
	Prev      Hash    `json:"prev"` // of the segment before, or of the timeline's own header
	Base      aof.Seq `json:"base"` // newest when this was read
	BaseInode uint64  `json:"baseInode"`
	Incr      aof.Seq `json:"incr"`
	Name      string  `json:"name"`
	Inode     uint64  `json:"inode"`
	Start     int64   `json:"start"`
	End       int64   `json:"end"`
	DB        int     `json:"db"`
	EndDB     int     `json:"endDB"`
	First     uint64  `json:"firstCommand"`
	Commands  int     `json:"commands"` // MULTI and EXEC included
	// Carried is the #TS in force at Start, FirstTS and LastTS those of the first
	// and the last command, in Unix seconds; 0 is none.
	Carried int64 `json:"carriedTS"`
	FirstTS int64 `json:"firstTS"`
	LastTS  int64 `json:"lastTS"`
	// The commands were written after Since, if that is known, and by ReadAt.
	Since   time.Time `json:"since,omitzero"`
	ReadAt  time.Time `json:"readAt"`
	Shipped time.Time `json:"shipped"` // when the shipping began
	Sum     Hash      `json:"sum"`     // of the body, unsealed
	Prefix  Hash      `json:"prefix"`  // of the incr file from its beginning to End
	Notable []Notable `json:"notable,omitempty"`
	// Turned is the newest segment of the timeline, up to this one, in which the
	// clock went back; 0 is none. In that one stands where.
	Turned uint64 `json:"turned,omitempty"`
	Turn   *Turn  `json:"turn,omitempty"`
}

// Notable is a command or a run of commands that empties a database.
type Notable struct {
	Command uint64    `json:"command"` // number of the first
	What    string    `json:"what"`
	DB      int       `json:"db"`
	Keys    int       `json:"keys,omitempty"` // deleted, as far as was seen; 0 when only the server knows
	TS      int64     `json:"ts,omitempty"`   // #TS of the first, Unix seconds
	ReadAt  time.Time `json:"readAt"`
}

// At is when it was, and whether the server says so.
func (n Notable) At() (at time.Time, stamped bool) { return moment(n.TS, n.ReadAt) }

func moment(ts int64, readAt time.Time) (at time.Time, stamped bool) {
	if ts != 0 {
		return time.Unix(ts, 0), true
	}
	return readAt, false
}

// FirstAt and LastAt are the times of the first and the last command.
func (s *Segment) FirstAt() (at time.Time, stamped bool) { return moment(s.FirstTS, s.ReadAt) }

// LastAt is described at FirstAt.
func (s *Segment) LastAt() (at time.Time, stamped bool) { return moment(s.LastTS, s.ReadAt) }

// last is the number of a segment's last command.
func (s *Segment) last() uint64 { return s.First + uint64(s.Commands) - 1 }

// The keys. Segments lie in groups, so that a directory stays small and one
// listing finds the newest.
const (
	timelinePrefix = "archive/timeline/"
	leasePrefix    = "archive/lease/"
	probePrefix    = "archive/probe/"
	groupSize      = 1000
)

func timelineKey(n uint64) string { return fmt.Sprintf("%s%06d", timelinePrefix, n) }
func leaseKey(n uint64) string    { return fmt.Sprintf("%s%06d", leasePrefix, n) }

func basePrefix(timeline uint64) string { return fmt.Sprintf("archive/data/%06d/base/", timeline) }

func baseKey(timeline, segment uint64, seq aof.Seq) string {
	return fmt.Sprintf("%s%012d-%d", basePrefix(timeline), segment, seq)
}

func groupPrefix(timeline, group uint64) string {
	return fmt.Sprintf("archive/data/%06d/segment/%09d/", timeline, group)
}

func segmentKey(timeline, n uint64) string {
	return fmt.Sprintf("%s%012d", groupPrefix(timeline, n/groupSize), n)
}

// numberIn is the number that is the last part of a key.
func numberIn(key string) (uint64, error) {
	n, err := strconv.ParseUint(path.Base(key), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("archive: %s: want a number as the last part: %w", key, ErrDamaged)
	}
	return n, nil
}

// basePlace is a base as its key tells of it.
type basePlace struct {
	key     string
	segment uint64
	seq     aof.Seq
}

// bases lists the bases of a timeline, by place ascending.
func bases(ctx context.Context, s Store, timeline uint64) ([]basePlace, error) {
	objects, err := s.List(ctx, basePrefix(timeline))
	if err != nil {
		return nil, err
	}
	places := make([]basePlace, 0, len(objects))
	for _, o := range objects {
		place, err := placeOf(o.Key)
		if err != nil {
			return nil, err
		}
		places = append(places, place)
	}
	return places, nil
}
