// Package drill has a real redis-server (or valkey-server) load a data directory,
// to see whether it can and what it makes of it.
//
// The server listens on a Unix socket in a temporary directory and nowhere else.
// It is told that it is a replica of nobody in particular: a replica lets no key
// expire by itself, so what it loads is what the files hold, whenever that was.
package drill
