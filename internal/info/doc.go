// Package info reads what a server answers to INFO, and explains its section
// Persistence field by field: what the value means, whether that is good, and
// what to do where it is not. Redis 6 to 7.4, Valkey and our own store are
// known; a field that is not is shown as such and never guessed.
package info
