package target

// OpenBucket lets the suite have a bucket in memory.
var OpenBucket = openBucket
