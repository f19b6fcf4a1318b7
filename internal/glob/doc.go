// Package glob matches byte strings against the patterns of Redis's KEYS, SCAN
// and PSUBSCRIBE: the function stringmatchlen of util.c in Redis 7.0, oddities
// included.
//
//	?       any byte
//	*       any bytes, none included
//	[abc]   one of them; [^abc] none of them; [a-c] a range, in either order
//	\x      x itself, within a class too
//
// The oddities: a class left open ends with the pattern, bytes of 128 and more
// sort before the others in a range, an escaped byte in a class keeps its case
// in a match without case, and the empty string matches the empty pattern
// only.
//
// Every element but the star takes exactly one byte. Therefore, when what
// follows a star cannot be matched from anywhere on, no earlier star need be
// tried again: time grows with the product of the two lengths, whatever the
// pattern.
package glob
