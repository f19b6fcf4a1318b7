package target_test

import (
	"path/filepath"
	"strings"
	"testing"

	"gocloud.dev/blob/memblob"

	"limpet/internal/target"
	"limpet/internal/target/targettest"
	"limpet/vfs"
)

func open(t *testing.T, spec string) *target.Store {
	t.Helper()
	s, err := target.Open(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestDirectory_BehavesAsATarget(t *testing.T) {
	targettest.Run(t, func(t *testing.T) (s, again *target.Store) {
		root := filepath.Join(t.TempDir(), "not", "yet", "there")
		return open(t, root), open(t, "file://"+root)
	})
}

func TestMemory_BehavesAsATarget(t *testing.T) {
	targettest.Run(t, func(t *testing.T) (s, again *target.Store) {
		mem := vfs.NewMem()
		return openDir(t, mem), openDir(t, mem)
	})
}

func TestBucketInMemory_BehavesAsATarget(t *testing.T) {
	targettest.Run(t, func(t *testing.T) (s, again *target.Store) {
		bucket := memblob.OpenBucket(nil)
		s = target.OpenBucket(bucket, "mem://")
		return s, s
	})
}

func TestS3_BehavesAsATarget(t *testing.T) {
	server := targettest.StartS3(t)
	targettest.Run(t, func(t *testing.T) (s, again *target.Store) {
		name := strings.ToLower(strings.ReplaceAll(filepath.Base(t.Name()), "_", "-"))
		spec := server.Spec(t, name)
		return open(t, spec), open(t, spec)
	})
}

func openDir(t *testing.T, fsys vfs.FS) *target.Store {
	t.Helper()
	s, err := target.OpenDir(fsys, "/t")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOpen_BadSpec_SaysWhatIsWanted(t *testing.T) {
	for spec, says := range map[string]string{
		"":                                  "have nothing",
		"ftp://x/y":                         "want a directory, file://, s3://",
		"s3:///prefix":                      "name of a bucket",
		"s3://AKIA:secret@bucket":           "belong into the environment",
		"s3://b?reigon=x":                   "reigon",
		"file://host/dir":                   "want file:///an/absolute/path",
		"s3://b\x7f?secret=hidden":          "not a URL",
		"s3://b?secret_access_key=hushhush": "secret_access_key=…: credentials belong",
	} {
		_, err := target.Open(t.Context(), spec)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v: want %q", spec, err, says)
		}
		if err != nil && (strings.Contains(err.Error(), "AKIA") || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%q: tells the secret: %v", spec, err)
		}
	}
}

func TestString_IsTheSpecAsGiven(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, spec := range []string{"/a/b", "rel/dir", "s3://b/some/prefix?endpoint=http://127.0.0.1:9&region=r&s3ForcePathStyle=true"} {
		if got := open(t, spec).String(); got != spec {
			t.Errorf("%s: %s", spec, got)
		}
	}
}
