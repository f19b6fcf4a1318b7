// Package keyspace holds the numbered databases: keys, their values, and the
// deadlines after which they are gone.
//
// It is a structure, not a set of rules. It does not judge whether a deadline
// has passed when a key is looked up, writes no log and reads no clock; package
// command does the first and the engine the others. Nothing here locks: whoever
// calls holds the engine's lock.
//
// Two facts about each bucket of a database's table serve durability:
//
//   - its stamp is the sequence number of the newest unit that changed a key in
//     it, so that a read knows which log record it depends on, whether the key
//     is there or not;
//   - its epoch says which snapshot has saved it, so that a [Snapshot] sees
//     every key once, as it was at the cut, while writers go on.
package keyspace
