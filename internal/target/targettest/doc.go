// Package targettest holds every kind of target to the same behaviour, and
// starts a real S3 server on loopback for those who need a bucket.
package targettest
