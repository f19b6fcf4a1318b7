package machine

// LeastInodes is the number of free inodes below which a file system is about to
// take no more files, whatever room there is.
const LeastInodes = 1000

// spare is what a log needs in any case, in bytes: room for its files to grow
// while they are small, and for what others write meanwhile.
const spare = 64 << 20

// Need is the free room that a log wants beside what it takes already, in bytes.
type Need struct {
	Rewrite uint64 // less, and the next rewrite has no room for a new base beside the old one
	Safe    uint64 // two bases, and the log grows by as much again as it has
}

// NeedOf is the need of a log with a base, or of a dump, of so many bytes, which
// has grown by so many since.
func NeedOf(base, growth int64) Need {
	return Need{uint64(base) + spare, uint64(2*base+growth) + spare}
}
