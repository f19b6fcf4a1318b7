package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
)

// DecoderOptions of a [Decoder]; the zero value checks everything and answers
// plain slices.
type DecoderOptions struct {
	// KeepPacked answers Packed for collections that lie in the file as a
	// listpack or intset, and Nodes for lists: their bytes are checked and not
	// unpacked. How many elements they have, and how large, is up to whoever
	// wrote the file.
	KeepPacked bool
	// NoChecksum leaves the checksum unchecked.
	NoChecksum bool
	// MaxString is the longest string accepted, in bytes; 0 means 4 GiB less a
	// little, so that 32 bits hold the length of what is made of it. It is not what
	// protects from hostile lengths: memory is taken as bytes arrive.
	MaxString int64
}

// Decoder reads one file. It is for one goroutine.
type Decoder struct {
	r       reader
	v       valueDecoder
	version int
	db      int
	entryAt int64
	aux     map[string]string
	keys    uint64
	expires uint64

	functions [][]byte
	modules   []string
	skipped   int
	err       error // io.EOF after the end; sticky
}

// NewDecoder returns a Decoder of the file that begins at src. It reads ahead;
// see [Decoder.Rest].
func NewDecoder(src io.Reader, o DecoderOptions) *Decoder {
	d := &Decoder{aux: map[string]string{}}
	d.r = reader{src: src, maxString: o.maxString(), noSum: o.NoChecksum}
	d.v = valueDecoder{r: &d.r, keepPacked: o.KeepPacked}
	return d
}

func (o DecoderOptions) maxString() uint64 {
	if o.MaxString > 0 {
		return uint64(o.MaxString)
	}
	return min(4<<30-4<<10, math.MaxInt)
}

// Version is the version of the format, 0 before the first call of Next.
func (d *Decoder) Version() int { return d.version }

// Aux is the facts about the file that were read so far. All come before the
// first entry.
func (d *Decoder) Aux() map[string]string { return maps.Clone(d.aux) }

// Functions is the sources of the function libraries that were read so far. All
// come before the first entry.
func (d *Decoder) Functions() [][]byte { return d.functions }

// Modules is the names of the modules whose data beside the keys was passed over.
func (d *Decoder) Modules() []string { return d.modules }

// SkippedEmpty is the number of empty collections that were passed over.
func (d *Decoder) SkippedEmpty() int { return d.skipped }

// SizeHint is what the file says about the database of the latest entry: how
// many keys it has, and how many of them expire. It is not checked; a hostile
// file may say anything.
func (d *Decoder) SizeHint() (keys, expires uint64) { return d.keys, d.expires }

// EntryAt is where the latest entry begins, in bytes from the beginning of the
// file: for errors about its value that only whoever builds it can find.
func (d *Decoder) EntryAt() int64 { return d.entryAt }

// Consumed is the number of bytes understood so far. After io.EOF it is the
// length of the file, behind which other bytes may follow.
func (d *Decoder) Consumed() int64 { return d.r.offset() }

// Rest reads the bytes behind those consumed: after io.EOF, the commands of an
// append-only file that begins with an RDB. The Decoder is used up by it.
func (d *Decoder) Rest() io.Reader {
	return io.MultiReader(bytes.NewReader(d.r.buf[d.r.pos:]), d.r.src)
}

// Next is the next entry, or io.EOF when the file has properly ended. Any other
// error is final and an [*Error]; the entries before it are sound, as far as can
// be told without the checksum.
func (d *Decoder) Next() (Entry, error) {
	if d.err == nil && d.version == 0 {
		d.header()
	}
	for d.err == nil {
		e, ok := d.entry()
		if d.r.err != nil {
			d.err = d.r.err
		} else if ok {
			return e, nil
		}
	}
	return Entry{}, d.err
}

func (d *Decoder) header() {
	d.r.begin("header")
	if !d.r.need(headerSize) {
		d.err = d.r.err
		return
	}
	head := string(d.r.buf[d.r.pos : d.r.pos+headerSize])
	version, err := strconv.ParseUint(head[len(magic):], 10, 16)
	switch {
	case head[:6] == "VALKEY":
		d.r.fail(ErrNewer, "format of Valkey, %q", head)
	case head[:len(magic)] != magic:
		d.r.corrupt("want %q, have %q", magic, head[:len(magic)])
	case err != nil || version == 0:
		d.r.corrupt("version %q", head[len(magic):])
	case version > MaxVersion:
		d.r.fail(ErrNewer, "version %d, this reads up to %d", version, MaxVersion)
	}
	d.r.pos += headerSize
	d.version = int(version)
	d.err = d.r.err
}

// entry reads up to and including the next entry. It is not ok when there is
// none, or an empty one that is passed over.
func (d *Decoder) entry() (e Entry, ok bool) {
	r := &d.r
	for r.err == nil {
		r.begin("operation")
		switch op := r.byte(); op {
		case opExpireMs:
			r.begin("expiry")
			e.ExpireAtMs = expiry(int64(r.uint64LE()))
		case opExpire:
			r.begin("expiry")
			e.ExpireAtMs = expiry(int64(int32(r.uint32LE())) * 1000)
		case opIdle:
			r.begin("idle time")
			e.IdleSeconds = r.length()
		case opFreq:
			r.begin("access counter")
			e.Freq = r.byte()
		case opEOF:
			d.end()
			return e, false
		default:
			if op >= opSlotInfo {
				d.operation(op)
				continue
			}
			if r.err != nil {
				return e, false
			}
			return d.keyAndValue(e, op)
		}
	}
	return e, false
}

// expiry maps what the file has to 0 for "never": Redis takes -1 for that, and 0
// for a moment long ago.
func expiry(ms int64) int64 {
	switch ms {
	case -1:
		return 0
	case 0:
		return 1
	}
	return ms
}

func (d *Decoder) operation(op byte) {
	r := &d.r
	switch op {
	case opSelectDB:
		r.begin("database number")
		db := r.length()
		if db > math.MaxInt32 {
			r.corrupt("%d", db)
		}
		d.db, d.keys, d.expires = int(db), 0, 0
	case opResizeDB:
		r.begin("size hint")
		d.keys, d.expires = r.length(), r.length()
	case opAux:
		r.begin("aux field")
		name, value := r.string(), r.string()
		if r.err == nil {
			d.aux[string(name)] = string(value)
		}
	case opFunction2:
		r.begin("function library")
		d.functions = append(d.functions, r.string())
	case opFunctionPreGA:
		r.begin("function library")
		d.functions = append(d.functions, r.functionPreGA())
	case opModuleAux:
		r.begin("module data")
		id := r.length()
		if part := r.length(); part != moduleUint {
			r.corrupt("part of kind %d", part)
		}
		r.length() // before or after the keys
		r.module()
		d.modules = append(d.modules, moduleName(id))
	case opSlotInfo:
		r.begin("slot hint")
		r.length()
		r.length()
		r.length()
	}
}

// functionPreGA reads a library as the release candidates of Redis 7.0 wrote it,
// whose name and engine were not part of the source yet.
func (r *reader) functionPreGA() []byte {
	name, engine := r.string(), r.string()
	if r.length() != 0 {
		r.string() // description
	}
	source := r.string()
	return fmt.Appendf(nil, "#!%s name=%s\n%s", engine, name, source)
}

func (d *Decoder) keyAndValue(e Entry, typ byte) (Entry, bool) {
	r := &d.r
	e.DB, d.entryAt = d.db, r.start // of the type, where the entry proper begins
	r.begin("key")
	e.Key = r.string()
	if r.err != nil {
		return e, false
	}
	e.Value = d.v.value(typ)
	if r.err != nil {
		r.err = atKey(r.err, e.DB, e.Key, d.entryAt)
		return e, false
	}
	if e.Value == nil {
		d.skipped++
		return e, false
	}
	return e, true
}

// atKey adds the key to an error that was found in its value.
func atKey(err error, db int, key []byte, start int64) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	const enough = 100 // bytes of a key to recognise it by
	short := key[:min(len(key), enough)]
	return &Error{
		Offset: e.Offset,
		What:   fmt.Sprintf("db %d key %q (entry at %d): %s", db, short, start, e.What),
		Err:    e.Err,
	}
}

// end checks the checksum.
func (d *Decoder) end() {
	r := &d.r
	d.err = io.EOF
	if d.version < checksumSince {
		return
	}
	r.begin("checksum")
	r.sumUp()
	have := r.sum
	want := r.uint64LE()
	if r.err == nil && want != 0 && !r.noSum && want != have {
		r.fail(ErrChecksum, "want %016x, have %016x", want, have)
	}
}
