// Package stat looks at a running server again and again: a Redis, a Valkey or
// our own store. A Sample is what one look saw, with rates since the look
// before. It asks INFO, CONFIG GET and, once for each run of the server, COMMAND
// (to tell reads from writes), and changes nothing.
package stat
