// Package server lets clients reach a store by Redis's protocol: over TCP, over
// a Unix socket, or in memory from within the same process.
//
// It is an ordinary user of the root package's API. Each connection has one
// goroutine, which reads what has arrived, hands it to the store as one batch,
// waits until the batch's ticket is durable as appendfsync asks, and writes all
// replies at once.
package server
