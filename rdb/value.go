package rdb

import "iter"

// Entry is one key with its value.
type Entry struct {
	DB         int
	Key        []byte
	ExpireAtMs int64 // Unix time in milliseconds; 0 means never
	Value      Value

	// What an evicting Redis noted: seconds since the last access, or the
	// logarithmic access counter. 0 when the file says nothing. Encoders write
	// neither.
	IdleSeconds uint64
	Freq        uint8
}

// Value is the value of a key. The Decoder answers String, List, Set, Hash,
// ZSet, *Stream, Module and, when asked to, Packed, Nodes and a Stream's Leaves. The Encoder takes
// those too, and the Seq forms for collections that nobody wants to copy into a
// slice first.
//
// A collection is never empty, save a stream: Redis has no empty ones. The
// Decoder passes over those that an old Redis may have left in a file, the
// Encoder refuses them.
//
// Names in packed collections are unique, the Decoder checks it. In collections
// that lie plain in the file it does not: whoever builds a table from them sees
// a repeated name for free, and should take it for [ErrCorrupt] as Redis does.
type Value interface{ rdbValue() }

type (
	// String is a string.
	String []byte
	// List is the elements from head to tail.
	List [][]byte
	// Set is the members in any order.
	Set [][]byte
	// Hash is the fields in any order.
	Hash []Field
	// ZSet is the members in any order.
	ZSet []Member
)

// Field is a field of a hash.
type Field struct {
	Name, Value []byte
	ExpireAtMs  int64 // Unix time in milliseconds; 0 means never. Version 12 only
}

// Member is a member of a sorted set. Its score is not NaN.
type Member struct {
	Name  []byte
	Score float64
}

// Packed is a value that is one string on disk: a small collection in its on-disk
// bytes, which are a listpack, or an [Intset] for TypeSetIntset. Fields and members
// are followed by their value or score; members are in ascending order of score,
// then name. A Decoder gives strings as [String]; to an Encoder they may be Packed
// too, and a pointer to a Packed that is used again and again spares allocations.
//
// From a Decoder the bytes are valid in every respect. To an Encoder they must
// be: it copies them as they are.
type Packed struct {
	Type byte // TypeString, TypeHashListpack, TypeZSetListpack, TypeSetListpack or TypeSetIntset
	Data []byte
}

// Nodes is a list as runs of elements, from head to tail.
type Nodes []Node

// Node is a run of elements: a listpack that is not empty, or one element as it
// is when Plain.
type Node struct {
	Plain bool
	Data  []byte
}

// The Seq forms are for the Encoder alone. Len is the number of items that All
// yields; another number is an error and spoils the file. What All yields is
// used only until it is asked for the next.
type (
	// HashSeq yields names and values.
	HashSeq struct {
		Len int
		All iter.Seq2[[]byte, []byte]
	}
	// SetSeq yields members.
	SetSeq struct {
		Len int
		All iter.Seq[[]byte]
	}
	// ZSetSeq yields members and scores. Redis loads it fastest in descending
	// order of score.
	ZSetSeq struct {
		Len int
		All iter.Seq2[[]byte, float64]
	}
	// ListSeq yields nodes, of which Len is the number.
	ListSeq struct {
		Len int
		All iter.Seq[Node]
	}
)

// StreamID is the id of a stream's entry.
type StreamID struct{ Ms, Seq uint64 }

// Compare is -1, 0 or 1, as a is before, at or after b.
func (a StreamID) Compare(b StreamID) int {
	switch {
	case a == b:
		return 0
	case a.Ms < b.Ms || a.Ms == b.Ms && a.Seq < b.Seq:
		return -1
	}
	return 1
}

// Stream is a stream with its consumer groups.
type Stream struct {
	Entries []StreamEntry // ascending

	// Leaves are the entries as they lie in the file, where KeepPacked asked for
	// that. The Encoder prefers them to Entries, and believes Len.
	Leaves []Leaf
	Len    int // entries in Leaves that are not deleted

	LastID       StreamID // of the newest entry that ever was
	FirstID      StreamID // of the oldest entry there is, 0-0 when there is none
	MaxDeletedID StreamID // the highest that was deleted
	Added        uint64   // entries that ever were added
	Groups       []Group  // ascending by name
}

// Leaf is a run of a stream's entries in a listpack; encode_stream.go has the
// picture. From a Decoder it can be walked from both ends without a check, its
// counts are true, and what is not deleted in it is above everything before.
type Leaf struct {
	Key  StreamID
	Data []byte
}

// StreamEntry is an entry of a stream.
type StreamEntry struct {
	ID     StreamID
	Fields [][]byte // names and values in turn; a Decoder's entries may share names
}

// Group is a consumer group.
type Group struct {
	Name        []byte
	LastID      StreamID   // the last one delivered
	EntriesRead int64      // -1 when not known
	Consumers   []Consumer // ascending by name
}

// Consumer is a consumer with the entries it was given and has not acknowledged.
// Within a group every pending id belongs to exactly one consumer.
type Consumer struct {
	Name     []byte
	SeenMs   int64     // Unix time in milliseconds of its last attempt
	ActiveMs int64     // of its last success; SeenMs where the file knows no better. Not written
	Pending  []Pending // ascending
}

// Pending is an entry that was delivered and not acknowledged.
type Pending struct {
	ID            StreamID
	DeliveredAtMs int64 // Unix time in milliseconds, of the last delivery
	Deliveries    uint64
}

// Module is the value of a module's type, parsed as far as can be without it.
type Module struct {
	ID   uint64 // see Name
	Body []byte // the module's own parts, in the bytes of the format, without their end
}

// Name is the nine letters of the module's type.
func (m Module) Name() string { return moduleName(m.ID) }

func (String) rdbValue()  {}
func (List) rdbValue()    {}
func (Set) rdbValue()     {}
func (Hash) rdbValue()    {}
func (ZSet) rdbValue()    {}
func (*Stream) rdbValue() {}
func (Module) rdbValue()  {}
func (Packed) rdbValue()  {}
func (Nodes) rdbValue()   {}
func (HashSeq) rdbValue() {}
func (SetSeq) rdbValue()  {}
func (ZSetSeq) rdbValue() {}
func (ListSeq) rdbValue() {}
