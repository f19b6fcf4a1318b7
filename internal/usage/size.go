package usage

import (
	"fmt"
	"math/bits"
	"strconv"

	"limpet/rdb"
)

// Sizes of Redis 7's structures on 64-bit machines, in bytes (src/dict.h,
// src/server.h, src/quicklist.h, src/rax.h).
const (
	objectHead   = 16 // robj
	dictEntry    = 24 // key, value, next
	dictHead     = 56 // two tables and what is known of them
	quicklist    = 40 // and a node of it:
	quickNode    = 32 //
	skipHead     = 32 + 24 + 32*16
	skipNode     = 24 + 21 // 1.33 levels of 16 bytes on average
	zsetHead     = 16
	streamHead   = 80
	raxNode      = 80   // of an id in a radix tree, roughly
	leafRoom     = 4096 // what XADD takes for a new node, and gives back when the next begins
	groupHead    = 64
	consumerHead = 40
	pendingEntry = 40 + 2*raxNode // in the group's tree and in the consumer's

	// The default limits up to which hashes and sorted sets stay packed.
	packedEntries, packedValue = 128, 64
)

// sizeOf is what a key with its value takes.
func sizeOf(e rdb.Entry) (bytes int64, kind string) {
	bytes = dictEntry + textSize(len(e.Key), true) + 8 // and a bucket
	if e.ExpireAtMs != 0 {
		bytes += dictEntry + 8
	}
	value, kind := valueSize(e.Value)
	return bytes + objectHead + value, kind
}

// allocated is what jemalloc gives for n bytes: classes of a sixteenth up to 128,
// then four for each doubling.
func allocated(n int) int64 {
	switch {
	case n <= 8:
		return 8
	case n <= 128:
		return int64(n+15) &^ 15
	}
	step := 1 << (bits.Len(uint(n-1)) - 3)
	return int64((n + step - 1) / step * step)
}

// textSize is an sds: a head, the bytes, and a zero. Only names have the shortest
// head.
func textSize(n int, isKey bool) int64 {
	head := 17
	switch {
	case n < 32 && isKey:
		head = 1
	case n < 1<<8:
		head = 3
	case n < 1<<16:
		head = 5
	case n < 1<<32:
		head = 9
	}
	return allocated(head + n + 1)
}

// tableSize is a dict of n entries without what they hold.
func tableSize(n int) int64 {
	buckets := 4
	for buckets < n {
		buckets *= 2
	}
	return dictHead + int64(n)*allocated(dictEntry) + 8*int64(buckets)
}

// valueSize is what the value takes behind its object.
func valueSize(value rdb.Value) (bytes int64, kind string) {
	switch v := value.(type) {
	case rdb.String:
		return stringSize(v), "string"
	case rdb.Packed:
		switch v.Type {
		case rdb.TypeHashListpack:
			kind = "hash"
		case rdb.TypeZSetListpack:
			kind = "zset"
		default:
			kind = "set"
		}
		return allocated(len(v.Data)), kind
	case rdb.Nodes:
		bytes = quicklist
		for _, n := range v {
			bytes += quickNode + allocated(len(n.Data))
		}
		return bytes, "list"
	case rdb.List:
		packed := 7
		for _, e := range v {
			packed += len(e) + packedHead
		}
		// Nodes of up to 8 KiB.
		return quicklist + int64(packed/8192+1)*quickNode + int64(packed), "list"
	case rdb.Hash:
		return hashSize(v), "hash"
	case rdb.Set:
		bytes = tableSize(len(v))
		for _, m := range v {
			bytes += textSize(len(m), true)
		}
		return bytes, "set"
	case rdb.ZSet:
		return zsetSize(v), "zset"
	case *rdb.Stream:
		return streamSize(v), "stream"
	case rdb.Module:
		return allocated(len(v.Body)), "module " + v.Name()
	}
	return 0, fmt.Sprintf("%T", value)
}

// packedHead is what an element of a listpack takes beside its bytes, roughly.
const packedHead = 2

func stringSize(v rdb.String) int64 {
	const embedded = 44
	n := len(v)
	if n <= 20 {
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil && strconv.FormatInt(i, 10) == string(v) {
			return 0 // in the object itself
		}
	}
	if n <= embedded {
		return allocated(objectHead+3+n+1) - objectHead
	}
	return textSize(n, false)
}

func hashSize(v rdb.Hash) int64 {
	packed, longest, sum := 7, 0, int64(0)
	for _, f := range v {
		packed += len(f.Name) + len(f.Value) + 2*packedHead
		longest = max(longest, len(f.Name), len(f.Value))
		sum += textSize(len(f.Name), true) + textSize(len(f.Value), true)
	}
	if len(v) <= packedEntries && longest <= packedValue {
		return allocated(packed)
	}
	return tableSize(len(v)) + sum
}

func zsetSize(v rdb.ZSet) int64 {
	packed, longest, sum := 7, 0, int64(0)
	for _, m := range v {
		packed += len(m.Name) + 9 + 2*packedHead
		longest = max(longest, len(m.Name))
		sum += textSize(len(m.Name), true) + skipNode
	}
	if len(v) <= packedEntries && longest <= packedValue {
		return allocated(packed)
	}
	return zsetHead + skipHead + tableSize(len(v)) + sum
}

func streamSize(v *rdb.Stream) (bytes int64) {
	bytes = streamHead
	for i, l := range v.Leaves {
		size := len(l.Data)
		if i == len(v.Leaves)-1 {
			size = max(size, leafRoom)
		}
		bytes += allocated(size) + raxNode
	}
	for _, e := range v.Entries { // where they do not lie packed
		for _, f := range e.Fields {
			bytes += int64(len(f)) + packedHead
		}
	}
	for _, g := range v.Groups {
		bytes += groupHead + raxNode
		for _, c := range g.Consumers {
			bytes += consumerHead + raxNode + textSize(len(c.Name), false) + int64(len(c.Pending))*pendingEntry
		}
	}
	return bytes
}
