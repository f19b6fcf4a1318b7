// Command crawl measures Limpet beside colly on sites that neither was made for:
// HTML documentation from Debian packages, served by nginx on loopback.
//
// Colly collects links and forms and keeps everything in memory. Limpet extracts
// all its features and tracks every page in its embedded store, synced every
// second. Both crawl the same site with the same concurrency, in turn, some rounds
// each; the medians and their ratio are printed. A round in which they do not find
// the same number of pages is an error.
//
// It is a module of its own, so that colly is no dependency of Limpet.
package main
