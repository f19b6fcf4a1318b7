// Package dict is a hash table whose iteration order is the order of the
// hashes, so that a cursor is a plain number and stays valid while the table
// grows and shrinks, and so that a walker can save the table piece by piece
// while writers change it.
//
// It is extendible hashing. The first 48 bits of a key's hash are its
// position. A directory indexed by the leading bits of the position points to
// segments; a segment is an array of up to 32 buckets indexed by the bits
// that follow; a bucket keeps its entries, in no order, in one slice with a
// byte of hash for each so that most wrong keys are never looked at.
//
//	position   d d d d | b b b b b | . . . (48 bits in all)
//	           depth     bits: bucket in the segment
//	           of the
//	           segment
//
//	directory  [0] [1] [2] [3]      2^depth pointers; a segment of a smaller
//	            |    \  |   |       depth is pointed to by several of them
//	           seg   seg   seg
//
// A full segment splits in two, and two nearly empty neighbours merge: work
// on a few hundred entries, never on the table. When a segment deeper than
// the directory is needed, the directory doubles, which copies pointers only.
// Growth and shrink are a factor of eight apart, so that no sequence of
// operations makes a segment flap.
//
// Every bucket covers an aligned range of positions whose length is a power
// of two. A split cuts each range in half; a merge joins the two halves of a
// range. A cursor is the first position not yet visited, therefore a split
// leaves it on a boundary, and a merge can at worst put it into the middle of
// a bucket, which is then visited (again) as a whole.
//
// # Saving a table that changes
//
// Each bucket carries a [BucketMeta] of two words that belong to the user.
// A split gives both children the parent's words; a merge keeps the largest
// Stamp and the smallest Epoch. A snapshot needs three things:
//
//  1. At the cut, choose an epoch above all earlier ones and install
//     [Table.BeforeChange]. A bucket with a smaller Epoch has not been saved
//     and holds exactly what it held at the cut.
//  2. The hook, called before any change to a bucket, saves the bucket if its
//     Epoch is smaller and then sets it.
//  3. The walker calls [Table.ScanBucket] from cursor 0 until it returns 0 and
//     does the same with every bucket that it is shown.
//
// Then every entry that existed at the cut is saved exactly once, with its
// content at the cut, and nothing else is saved. At least once: the walker
// passes over every position, and what it passes is saved. At most once: a
// saved bucket says so in its Epoch, a split hands that on to both halves,
// and a merge of a saved with an unsaved bucket, the one case that would lose
// the distinction, first shows both to the hook, after which both are saved.
// As at the cut: the hook runs before the change. Nothing else: a key is
// added to a bucket only after that bucket was saved without it.
//
// Forbidding merges while a snapshot runs would be simpler by one call, but a
// table emptied in that time would keep its empty segments, because only a
// deletion looks for something to merge.
package dict
