// Package cli is redis-cli: commands from its arguments, from a pipe or from a
// prompt, sent to any Redis, and replies in the five forms of redis-cli 7.0.15.
//
// What goes to standard output, and the exit code, are those of the real
// program, held to by tests that run both against one server. Where this one
// differs it is to lose nothing: a command is not sent to database 0 because the
// one that was asked for could not be selected.
//
// A session (session.go) is a connection and what redis-cli knows about its
// state; a command that is sent may change that (command.go). The rest are ways
// to give commands: one in the arguments (oneshot.go), lines (repl.go, with
// editor.go where the lines come from a terminal), and the modes that repeat a
// command of their own, one file each.
package cli
