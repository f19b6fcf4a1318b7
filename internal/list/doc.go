// Package list is a sequence of byte strings with fast ends.
//
// It is a chain of nodes, as Redis's quicklist is. A node is a listpack of up
// to 8 KiB or so, or one element, too large for a listpack, as it is. Nodes
// are never empty. An index is found by walking the nodes from the nearer end.
//
// Elements are copied when they come in, and when they are popped. Other
// slices that go out are for reading; they belong to the list and are good
// until it changes or, in a loop, until the next step.
package list
