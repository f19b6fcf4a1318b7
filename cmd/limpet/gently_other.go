//go:build !linux

package main

// beGentle does nothing where we do not know how.
func beGentle() {}

// freeMemory is not known.
func freeMemory() int64 { return 0 }
