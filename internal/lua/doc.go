// Package lua runs Redis's server-side scripts: Lua 5.1 in a sandbox, with the
// libraries that redis-server 7.0 gives to EVAL (redis, cjson, cmsgpack, struct,
// bit and what it leaves of Lua's own).
//
// A [Runtime] keeps one prepared Lua state and a cache of compiled scripts under
// their SHA1. What a script does to the outside goes through the [Caller] it is
// run with; the package knows neither keys nor databases.
//
// The language itself is gopher-lua. Where that differs from the Lua inside
// Redis, this package makes up for it, so that a script behaves the same here
// and there: numbers become text as "%.14g", error texts name the variable at
// fault, strings are bytes and not UTF-8, tables of the libraries are read-only.
// Four things hold after every run, however the script ended:
//
//  1. No global and no library table has changed.
//  2. The call stack and the registers are empty.
//  3. The RESP version and the settings of cjson are those of a new state. (In
//     Redis the settings of cjson outlive a script.)
//  4. The process lives: recursion, string sizes and nesting are bounded.
//
// What differs from Redis, knowingly: the order of pairs is that of insertion;
// of a table with holes # may name another border; string.dump is refused; the
// NaN of x%0 has no sign; a position in an error text may be missing when the
// call was the operand of return; an error({}) without text, which crashes
// Redis 7.0.15, is an error.
//
// Behaviour and wording were settled by asking redis-server 7.0.15; the test
// TestParity_RepliesAreThoseOfRedis asks it again.
package lua
