// Package target is where backups and archives go: a directory or a bucket.
//
// A target is opened by its spec:
//
//	/mnt/backups                                        a directory
//	file:///mnt/backups                                 the same
//	s3://bucket/prefix?region=eu-central-1              Amazon S3
//	s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1&s3ForcePathStyle=true
//	gs://bucket/prefix                                  Google Cloud Storage
//	azblob://container/prefix                           Azure Blob Storage
//
// Options behind the question mark are those of gocloud.dev/blob. Credentials
// come from where each cloud's own tools take them (AWS_ACCESS_KEY_ID,
// GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT and so on), never from
// the spec.
//
// An object is under its key whole or not at all, at every instant, a power cut
// included: a directory's object is synced before it gets its name. Keys are
// paths with slashes, and in a directory they are the names of files, to be
// found and read by hand on the day nothing else works:
//
//	<root>/backups/20261123T140322.123Z-…/entry.json    the object of that key
//	<root>/.partial/…                                   objects that are being written
//
// The suite in package targettest holds every kind of target to the same
// behaviour.
package target
