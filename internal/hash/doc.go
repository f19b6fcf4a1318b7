// Package hash is a map from fields to values, both byte strings.
//
// A small one is a listpack in Redis's own form, field and value in turn and in
// order of arrival, which is saved as it is. A large one is a [dict.Map].
//
// Fields and values are copied when they come in. Slices that go out are for
// reading. They belong to the hash and are good until it changes or, in a loop,
// until the next step.
package hash
