// Command limpet crawls sites, extracts their features and never loses count.
//
// `limpet up` is the whole service in one process; the other subcommands are
// its clients over HTTP. One file holds one subcommand. All of them keep to the
// same contract with the one who types:
//
//   - results go to standard output, everything else to standard error;
//   - with --json, results are JSON, one value a line, and so is an error;
//   - an error names what was tried, what happened and what to type next;
//   - the exit codes are those of exit.go, which docs/cli.md explains.
package main
