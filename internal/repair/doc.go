// Package repair makes a sound store out of damaged files, and destroys nothing.
//
// It goes in three steps. [MakePlan] inspects a directory and decides, file by
// file, which bytes are kept and which are cut; it only reads. Somebody looks at
// the [Plan]: each cut says how many commands it holds and which keys they
// touched. [Plan.WriteTo] then writes a new directory, [Plan.InPlace] the same
// one anew after copying all of it. Every byte that is cut lies in a file beside
// the log. A log or an RDB that is a file by itself is mended likewise, into a
// new file.
//
// What is kept by default is a prefix: everything up to the first place that
// cannot be read, cut before an open MULTI and never inside. That is a state the
// store once had. Two options take more, which no one can promise to be such a
// state, since commands between are missing:
//
//	KeepAfterGap  files behind one that ends early or is missing
//	Resync        commands behind damage within a file, see resync.go for when
//	              it can be told where they begin
//
// The entries before the damage of an RDB are no state that ever was, either, and
// are kept on demand alone (SalvageBase).
package repair
