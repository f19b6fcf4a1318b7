// Package sealed compresses and, where there is a key, encrypts what leaves the
// machine:
//
//	plain bytes -> zstd -> age, when there are recipients -> the sealed stream
//
// Both layers are the standard ones, so that a stream can be opened by hand:
//
//	age -d -i identity.txt object | zstd -d > file
//
// A passphrase is not used for each stream, since making a key of one takes a
// second and a quarter of a gigabyte on purpose. It opens a key pair that lies
// sealed at the target, and the pair opens the streams, see [Passphrase]:
//
//	age -d passphrase.age > identity.txt
//
// A reader tells apart what is wrong: a key is missing ([ErrNeedsKey]), it is
// another one ([ErrWrongKey]), the stream ends early ([ErrTruncated]), it is not
// what was written ([ErrDamaged]). A stream that was encrypted and has lost its
// end cannot always be told from a damaged one. Bytes given before an error are
// the right ones but for a plain stream's, whose checksum comes at the end.
package sealed
