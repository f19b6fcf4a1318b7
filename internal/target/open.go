package target

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://

	"limpet/vfs"
)

// Open opens a target by its spec, see the package's comment. A directory is
// made when the first object is written; a bucket must exist, and whether it
// does is found out by the first use.
func Open(ctx context.Context, spec string) (*Store, error) {
	scheme, _, isURL := strings.Cut(spec, "://")
	if !isURL {
		if spec == "" {
			return nil, errors.New("target: want a directory or the URL of a bucket, have nothing")
		}
		return OpenDir(vfs.OS(), spec)
	}
	u, err := url.Parse(spec)
	if err != nil {
		return nil, errors.New("target: not a URL") // url.Parse's error repeats it, secrets and all
	}
	shown := withoutSecrets(u)
	switch scheme {
	case "file":
		if u.Host != "" || u.Path == "" || u.RawQuery != "" {
			return nil, fmt.Errorf("target: %s: want file:///an/absolute/path", shown)
		}
		return OpenDir(vfs.OS(), filepath.FromSlash(u.Path))
	case "s3", "gs", "azblob":
	default:
		return nil, fmt.Errorf("target: %s: want a directory, file://, s3://, gs:// or azblob://", shown)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("target: %s: want the name of a bucket behind %s://", shown, scheme)
	}
	if u.User != nil || shown != u.String() {
		return nil, fmt.Errorf("target: %s: credentials belong into the environment, not into the spec", shown)
	}
	bucket, err := blob.OpenBucket(ctx, inTermsOfBlob(u))
	if err != nil {
		return nil, fmt.Errorf("target: %s: %w", shown, err)
	}
	return openBucket(bucket, shown), nil
}

// inTermsOfBlob moves the path of a spec to where gocloud.dev/blob looks for it,
// which ignores it elsewhere.
func inTermsOfBlob(u *url.URL) string {
	moved, options := *u, u.Query()
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		options.Set("prefix", prefix+"/")
	}
	if u.Scheme == "s3" && !options.Has("response_checksum_validation") {
		// What is kept has checksums of its own. The library would print a warning
		// for each object that came in several parts.
		options.Set("response_checksum_validation", "when_required")
	}
	moved.Path, moved.RawPath, moved.RawQuery = "", "", options.Encode()
	return moved.String()
}

// withoutSecrets is the spec for logs and catalogues. No option that is
// documented holds a secret, yet a spec may be wrong in just that.
func withoutSecrets(u *url.URL) string {
	shown := *u
	if u.User != nil {
		shown.User = url.User("…")
	}
	options := strings.Split(u.RawQuery, "&")
	for i, option := range options {
		name, _, _ := strings.Cut(strings.ToLower(option), "=")
		for _, word := range []string{"key", "secret", "token", "password", "credential", "sig", "sas"} {
			if strings.Contains(name, word) && name != "kmskeyid" {
				options[i] = name + "=…"
			}
		}
	}
	shown.RawQuery = strings.Join(options, "&")
	text := shown.String()
	if u.User != nil {
		text = strings.Replace(text, "%E2%80%A6@", "…@", 1)
	}
	return text
}
