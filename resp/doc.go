// Package resp puts values into and takes them out of Redis's wire protocol,
// RESP2 and RESP3.
//
// Three things live here: [Parser] cuts requests out of a byte stream, [Writer]
// appends replies to a buffer in the protocol version that a connection has
// chosen, and [Value] is a reply taken apart again.
//
// Nothing on the request path allocates for each command: a Parser's arguments
// are slices of the caller's buffer, a Writer's reply grows the caller's buffer.
// Both therefore say how long their bytes stay valid.
//
// The grammar is that of https://redis.io/docs/reference/protocol-spec; limits
// and error texts are those of redis-server 7.0.15, settled by asking it.
package resp
