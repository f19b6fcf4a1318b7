// Package parity sends the same requests to a real redis-server and to Limpet
// and compares the replies byte by byte.
//
// testdata/*.txt hold hand-written scripts, one request a line, quoted as
// redis-cli quotes; random_test.go makes more. A line may begin with a mark:
//
//	~ …         the reply's elements may come in any order
//	? …         only the kind of the reply is compared (random picks, times)
//	! …         sent, not compared (CONFIG SET of the peer's defaults)
//	# …         a comment
//
// A script begins with both servers empty.
package parity
