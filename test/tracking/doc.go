// Package tracking runs the claims of the tracking scripts on the embedded store,
// dialled in memory as `limpet up` dials it. Package internal/tracking runs the
// same claims on a real redis-server.
package tracking
