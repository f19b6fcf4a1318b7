// Package tail follows a multi-part append-only directory that somebody else
// writes: a store of this project or a redis-server 7, with rewrites running. It
// reads files and nothing else, and it writes none.
//
//	look    manifest, files, manifest again. New files are opened by name and held
//	        open, so that what a rewrite unlinks is still read to its end.
//	next    the next whole commands outside MULTI, as a [Block]
//	base    the newest base, once what lies before it has been read
//
// A file is known by its inode and read from an offset; its name only says where
// to find it first. A rotation is learnt from the manifest: whoever names incr
// N+1 has written all of incr N, so a file that another one follows is read to
// its end and then let go. The last file may end in the middle of a command at
// any moment, which means nothing but that more is to come.
//
// What cannot be joined to what was read before is a [Break], with its reason: a
// file that shrank or whose bytes changed, another file under the name, files
// that came and went unseen, damage. It comes after everything that could still
// be read soundly. Whoever follows then starts again.
//
// Nothing is linked or staged beside the log, though a hard link would outlive
// this process and a descriptor does not: a link that a killed follower leaves
// holds the disk space of a whole base, in a directory that is not ours, until
// somebody finds it. What a restart has missed is a Break, and said.
package tail
