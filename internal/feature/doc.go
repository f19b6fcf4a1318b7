// Package feature turns what a fetch brought home into a feature record: a
// versioned, documented description of one page, and the pages it leads to.
//
// The package is pure: bytes and facts in, a record out. It reads no clock, no
// file and no network, so the same Input always gives the same Record.
//
// HTML is read once, front to back, by a tokenizer with a stack of open
// elements beside it. No tree is built: on HTML documentation the whole of
// Extract is done in less time than it takes html.Parse to build one (compare
// BenchmarkExtract and BenchmarkTree), and no depth or size of a hostile page
// can blow up a recursion. The price is that elements which HTML would move or
// invent (a tbody nobody wrote, a table cell outside a table) are counted where
// and as they are written.
//
// The meaning, unit and limits of every field are in docs/features.md. A field
// is added without ceremony; one that changes its meaning raises Version.
package feature
