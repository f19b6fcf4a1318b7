// Package metrics tells Prometheus how a store fares, Limpet's or a real Redis's:
// what the server says of itself, what its files say without it, how its archive
// and its backups are.
//
// Each of the four is a [Collector] by itself, so that one which does not answer
// takes nothing from the others: its "up" metric is 0, its other metrics are
// absent, and the scrape goes well. A scrape ends within seconds, whatever hangs.
// Targets, which cost money and time, are asked beside the scrapes, once a minute
// or less, however many scrapers there are.
//
// What cannot be known is absent, never guessed and never 0.
//
// docs/metrics.md describes them all; a test compares it with [All].
package metrics
