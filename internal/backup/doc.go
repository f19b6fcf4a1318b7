// Package backup keeps data sets at a target and brings them back.
//
//	catalogue/<id>/backup.json            the entry: the backup exists since this does
//	catalogue/<id>/proof-<time>.json      what a verification has found
//	backups/<id>/001-<file>.zst[.age]     the files, compressed and perhaps encrypted
//	leases/<random>.json                  somebody reads or writes a backup now
//	keys/passphrase.age                   see package sealed
//
// The rules, which hold at every instant whoever is killed:
//
//  1. An entry appears when all its files are there and whole, and never
//     changes. A backup that was broken off is not there.
//  2. An entry goes before the first of its files does.
//  3. Nobody deletes files that a lease is on. Who reads takes a lease first and
//     looks for the entry then; who deletes removes the entry first and looks
//     for leases then. So either the reader finds no entry, or the other one
//     finds the lease.
//
// A restore lands in one step, see [Land]. A verification restores into a
// scratch directory and has servers load it, see [Loader].
package backup
