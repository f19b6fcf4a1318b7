// Package server lets clients reach a store by Redis's protocol: over TCP, over
// a Unix socket, or in memory from within the same process.
//
// It is an ordinary user of the root package's API. What a connection has sent
// is handed to the store as one batch; its replies are sent together, once the
// batch's ticket is as durable as appendfsync asks.
//
// Two forms of a connection do this. On Linux, sockets are served by a few event
// loops (loop), which run the batches of many connections under one lock and
// never wait for a sync. Everything else (TLS, memory, other systems) has a
// goroutine for each connection (conn). A client cannot tell the one from the
// other; docs/performance.md has them side by side.
package server
