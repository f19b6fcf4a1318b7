// Package server lets clients reach a store by Redis's protocol: over TCP, over
// a Unix socket, or in memory from within the same process.
//
// Package limpet knows nothing of it: a store that is used by [limpet.DB.Do] alone
// has no listener and no goroutine for one. Whoever wants to be reached makes a
// server for the store and closes the server before the store:
//
//	db, err := limpet.Open("data", nil)
//	…
//	s := server.New(db, server.Options{})
//	go s.Serve(listener)                                          // a network
//	client := redis.NewClient(&redis.Options{Dialer: s.Dial})     // this process
//	…
//	s.Close()
//	db.Close()
//
// [Serve] is all of that for a program that does nothing else.
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
