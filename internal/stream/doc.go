// Package stream is a log of entries, each a row of field names and values
// under an id that rises.
//
// Entries lie in nodes of up to 100, in the bytes in which Redis keeps them
// (t_stream.c). A node is a listpack, its first entry's id apart:
//
//	master   count  deleted  fields  name …  0
//	entry    flags  ms  seq  value …                     length
//	entry    flags  ms  seq  fields  name value …        length
//	…
//
//	count    entries in the node that are there; deleted: those that are not
//	flags    1 deleted; 2 the names are those of the master entry, which are
//	         the first entry's, and not repeated
//	ms, seq  what the id is above the first entry's; seq may be negative
//	length   elements of the entry before this one, to walk backwards
//
// A deleted entry stays until its node has no other. That is what makes "XTRIM
// ~", which drops whole nodes only, drop the same entries as it does there.
//
// Consumer groups are kept as data and take part in nothing here.
//
// What comes in is copied. Slices that go out are for reading and good until
// the stream changes or, in a loop, until the next step.
package stream
