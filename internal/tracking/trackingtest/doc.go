// Package trackingtest holds the claims that package tracking makes, as one
// suite that any store has to pass: a real Redis, the embedded one.
//
// It is for tests only.
package trackingtest
