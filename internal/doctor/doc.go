// Package doctor looks for what will lose data one day, and says it in plain
// words: in a data directory, in the configuration of a server that runs, in a
// docker-compose file, in the machine, in the catalogue of backups.
//
// It only reads, with one exception: to learn how long a sync takes it writes a
// small file into the directory, and removes it. It needs no engine, and works on
// the day a server will not start.
//
// Each finding has a [Code] that scripts may rely on; docs/doctor.md explains
// them all. What is not known is not found: a fact that the machine or the server
// does not tell leads to no finding.
package doctor
