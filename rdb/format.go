package rdb

// Versions of the format.
const (
	// WriteVersion is what an [Encoder] writes: that of Redis 7.0.
	WriteVersion = 10
	// MaxVersion is the newest that a [Decoder] reads: that of Redis 7.4.
	MaxVersion = 12
)

const (
	magic      = "REDIS"
	headerSize = len(magic) + 4

	checksumSince = 5 // first version that ends in a checksum
	checksumSize  = 8

	// footerSize is what follows the value in a DUMP payload: version, checksum.
	footerSize = 2 + checksumSize
)

// Types of values, as they stand before a key.
const (
	typeList          = 1
	typeSet           = 2
	typeZSet          = 3 // scores as text
	typeHash          = 4
	typeZSet2         = 5 // scores as binary doubles
	typeModulePreGA   = 6
	typeModule2       = 7
	typeHashZipmap    = 9
	typeListZiplist   = 10
	typeZSetZiplist   = 12
	typeHashZiplist   = 13
	typeListQuicklist = 14 // nodes are ziplists
	typeStream        = 15

	// Version 10, Redis 7.0.
	typeListQuicklist2 = 18 // nodes are listpacks or single elements
	typeStream2        = 19 // adds first and deleted ids, counters

	// Version 11, Redis 7.2.
	typeStream3 = 21 // adds the consumers' active time

	// Version 12, Redis 7.4. The first two were written by release candidates.
	typeHashTTLPreGA         = 22
	typeHashListpackTTLPreGA = 23
	typeHashTTL              = 24
	typeHashListpackTTL      = 25
)

// Types of [Packed] values, which are types of values too.
const (
	TypeString       byte = 0
	TypeSetIntset    byte = 11
	TypeHashListpack byte = 16 // since version 10
	TypeZSetListpack byte = 17 // since version 10
	TypeSetListpack  byte = 20 // since version 11; an Encoder writes such a set otherwise
)

// Operations between the entries.
const (
	opSlotInfo      = 244
	opFunction2     = 245
	opFunctionPreGA = 246
	opModuleAux     = 247
	opIdle          = 248
	opFreq          = 249
	opAux           = 250
	opResizeDB      = 251
	opExpireMs      = 252
	opExpire        = 253 // in seconds, 32 bits
	opSelectDB      = 254
	opEOF           = 255
)

// First bytes of lengths and of specially encoded strings.
const (
	len6       = 0x00 // and six bits of length
	len14      = 0x40 // and six bits, and a byte
	len32      = 0x80 // four bytes, big endian
	len64      = 0x81 // eight bytes, big endian
	lenSpecial = 0xC0 // and one of the following, instead of a length

	encInt8  = 0
	encInt16 = 1
	encInt32 = 2
	encLZF   = 3
)

// Parts of a module's value.
const (
	moduleEOF    = 0
	moduleSint   = 1
	moduleUint   = 2
	moduleFloat  = 3
	moduleDouble = 4
	moduleString = 5
)

// Containers of the nodes of a list.
const (
	nodePlain  = 1
	nodePacked = 2
)

// Flags of the entries of a stream.
const (
	streamDeleted    = 1
	streamSameFields = 2
)

// Up to these sizes Redis keeps collections packed (its default configuration),
// and the Encoder packs plain ones.
const (
	maxPackedEntries = 128
	maxPackedValue   = 64 // bytes
	maxIntsetEntries = 512
	maxNodeBytes     = 8 << 10 // of a list's node: list-max-listpack-size -2

	maxStreamNodeEntries = 100     // stream-node-max-entries
	maxStreamNodeBytes   = 4 << 10 // stream-node-max-bytes
)
