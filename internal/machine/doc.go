// Package machine tells facts of the machine it runs on: who has files of a
// directory open, where a directory is mounted, what room is left, how the kernel
// is set. Where a fact cannot be had, because the system is another one or does
// not tell, it is missing, and never guessed.
package machine
