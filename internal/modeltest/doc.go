// Package modeltest has what random tests of the data structures share: a seed
// that is printed and can be given back, a number of rounds, and the bytes in
// which a real Redis keeps a value.
//
//	LIMPET_SEED=n     repeats the run that printed it
//	LIMPET_TORTURE=1  multiplies the rounds by fifty
//
// It is for tests only.
package modeltest
