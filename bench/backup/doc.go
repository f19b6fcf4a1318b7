// Command backup measures what hot backups cost the server that is copied.
//
// A real redis-server with BACKUP_MB of data (256 by default) and its log on gets
// SET commands from redis-benchmark, in turns: without a backup, and while
// `limpet backup` runs again and again, each over the whole data set. What is
// printed is Markdown: the medians, their ratio, the spread of the ratios of the
// rounds, and how long a backup took.
//
// Nothing here is a test: timings on a machine that others use prove little, and
// no build fails on them.
package main
