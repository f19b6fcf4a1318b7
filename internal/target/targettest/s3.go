package targettest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// S3 is a running S3 server, versitygw over a temporary directory.
type S3 struct {
	// Endpoint is the server's address, like http://127.0.0.1:12345.
	Endpoint string
	root     string
}

const (
	startTimeout = 30 * time.Second
	startTries   = 5 // another process may take the port that was found free
	region       = "us-east-1"
)

// StartS3 starts a server, which is gone when the test ends, and puts its
// credentials into the environment, for this process and those it starts.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	program, err := gateway()
	if err != nil {
		t.Fatal(err)
	}
	access, secret := rand.Text(), rand.Text()
	t.Setenv("AWS_ACCESS_KEY_ID", access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("AWS_SESSION_TOKEN", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	s := &S3{root: t.TempDir()}
	for range startTries {
		if s.Endpoint, err = s.start(t, program, access, secret); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// Spec is the spec of a new bucket of this server.
func (s *S3) Spec(t testing.TB, bucket string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(s.root, "buckets", bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	return s.Through(s.Endpoint, bucket)
}

// Through is the spec of a bucket by way of another endpoint, such as a proxy.
func (s *S3) Through(endpoint, bucket string) string {
	return fmt.Sprintf("s3://%s/some/prefix?endpoint=%s&region=%s&s3ForcePathStyle=true", bucket, endpoint, region)
}

func (s *S3) start(t testing.TB, program, access, secret string) (endpoint string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	_ = l.Close()
	for _, dir := range []string{"buckets", "meta"} {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
			return "", err
		}
	}
	cmd := exec.Command(program, "--quiet", "--port", addr, "--region", region, "--access", access, "--secret", secret,
		"--health", "/health", "posix", "--sidecar", filepath.Join(s.root, "meta"), filepath.Join(s.root, "buckets"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return "", err
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-exited })
	if err := await("http://"+addr+"/health", exited); err != nil {
		_ = cmd.Process.Kill()
		<-exited
		return "", fmt.Errorf("versitygw: %w\n%s", err, out.String())
	}
	return "http://" + addr, nil
}

// await returns when the server answers.
func await(url string, exited <-chan struct{}) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := client.Get(url)
		if err == nil {
			_ = answer.Body.Close()
			return nil
		}
		select {
		case <-exited:
			return errors.New("ended at start")
		case <-timeout.C:
			return fmt.Errorf("no answer within %v: %w", startTimeout, err)
		case <-tick.C:
		}
	}
}

// gateway builds versitygw, which tools/go.mod names; the build cache keeps it.
var gateway = sync.OnceValues(func() (string, error) {
	module, err := output("go", "list", "-m", "-f", "{{.Dir}}", "limpet")
	if err != nil {
		return "", err
	}
	return output("go", "tool", "-modfile="+filepath.Join(module, "tools", "go.mod"), "-n", "versitygw")
})

func output(name string, args ...string) (string, error) {
	var errs strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, errs.String())
	}
	return strings.TrimSpace(string(out)), nil
}
