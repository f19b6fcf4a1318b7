// Package parity sends the same requests to a real redis-server and to Limpet
// and compares what comes back, byte by byte, and what is left behind.
//
//	scripts    hand-written requests, testdata/*.txt, in RESP2 and RESP3
//	random     requests made from templates, family by family and mixed, on two
//	           connections; then every key, value and deadline
//	protocol   whole and broken bytes on the wire, AUTH and HELLO, limits
//	commands   COMMAND INFO and DOCS of everything in the table
//	info       the form of INFO and CONFIG GET
//	dump       payloads of DUMP, sound and mutated, which both RESTORE
//	effects    the append-only files, record by record, and what is read from them
//
// A line of a script is a request, quoted as redis-cli quotes; "# …" is a
// comment. It may begin with a mark that says how the replies are compared:
//
//	~ …         the elements may come in any order
//	% …         the same for pairs of elements
//	t … p …     seconds, milliseconds: within clockSlack
//	? …         only the kind of the reply is compared (random picks, times)
//	! …         sent, not compared
//
// A script begins with both servers empty.
package parity
