package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// remote are the flags of all clients.
type remote struct {
	API   string `name:"api" env:"LIMPET_API" default:"http://127.0.0.1:3001" placeholder:"URL" group:"remote" help:"Where the service answers (${default})."`
	Token string `env:"LIMPET_API_TOKEN" group:"remote" help:"Its token; better given in the environment, where other users do not see it."`
	JSON  bool   `name:"json" group:"remote" help:"Print JSON, one value a line."`
}

// Validate checks and completes the address.
func (r *remote) Validate() error {
	if !strings.Contains(r.API, "://") {
		r.API = "http://" + r.API
	}
	u, err := url.Parse(r.API)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("--api %q: want a URL like http://127.0.0.1:3001", r.API)
	}
	r.API = strings.TrimRight(r.API, "/")
	return nil
}

const (
	quick = 30 * time.Second // for answers from a few keys
	long  = 15 * time.Minute // for answers that need all pages of a seed
)

// request is one call of the API.
type request struct {
	method string
	path   string
	query  url.Values
	body   any // sent as JSON; nil is no body
	header http.Header
}

func seedPath(seed, rest string) string {
	return "/api/fcrawler/seed/" + url.PathEscape(seed) + rest
}

// call asks, reads the answer into out and returns it as it came. Every error
// is a *failure or that of the context.
func (r *remote) call(ctx context.Context, timeout time.Duration, q request, out any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	response, err := r.send(ctx, q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, r.unreachable(ctx, err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, r.stranger(response)
	}
	return bytes.TrimSpace(body), nil
}

// send asks and answers the response, whose body is still to be read. Codes of
// 400 and more are errors.
func (r *remote) send(ctx context.Context, q request) (*http.Response, error) {
	target := r.API + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	var body io.Reader = http.NoBody
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, q.method, target, body)
	if err != nil {
		return nil, failf(exitUsage, "--api %q: %v", r.API, err)
	}
	for name, values := range q.header {
		request.Header[name] = values
	}
	request.Header.Set("User-Agent", "limpet/"+version)
	if q.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.Token != "" {
		request.Header.Set("Authorization", "Bearer "+r.Token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, r.unreachable(ctx, err)
	}
	if response.StatusCode >= 400 {
		defer func() { _ = response.Body.Close() }()
		return nil, r.refusal(response)
	}
	return response, nil
}

// unreachable explains why there is no answer.
func (r *remote) unreachable(ctx context.Context, err error) error {
	if context.Cause(ctx) == context.Canceled {
		return context.Canceled
	}
	reason := err.Error()
	var sys syscall.Errno
	var dns *net.DNSError
	var network net.Error
	var wrapped *url.Error
	switch {
	case errors.As(err, &sys):
		reason = sys.Error()
	case errors.As(err, &dns):
		reason = dns.Err
	case errors.As(err, &network) && network.Timeout():
		reason = "no answer in time"
	case errors.As(err, &wrapped):
		reason = wrapped.Err.Error()
	}
	return failf(exitUnreachable, "cannot reach %s: %s", r.API, reason).
		with("Is `limpet up` running? Nothing was asked of it.").
		with("start:  limpet up").
		with("else:   name the service with --api URL, or in LIMPET_API")
}

// refusal turns an error answer into a failure.
func (r *remote) refusal(response *http.Response) error {
	var answer struct{ Error, Hint string }
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20)) // what came has to do
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		return r.stranger(response)
	}
	code := exitRefused
	switch {
	case response.StatusCode == http.StatusNotFound:
		code = exitNotFound
	case response.StatusCode >= 500:
		code = exitLater
	}
	f := failf(code, "%s", answer.Error)
	switch {
	case response.StatusCode == http.StatusUnauthorized:
		return f.with("token:  --token TOKEN, or in LIMPET_API_TOKEN")
	case code == exitNotFound:
		return f.with("list:   limpet seeds").with("start:  limpet submit DOMAIN")
	case answer.Hint != "":
		return f.with("%s", answer.Hint)
	}
	return f
}

func (r *remote) stranger(response *http.Response) error {
	return failf(exitUnreachable, "%s answers, but not as Limpet does: %s, %s", r.API,
		response.Status, orUnknown(response.Header.Get("Content-Type"))).
		with("else:   name the service with --api URL, or in LIMPET_API")
}

func orUnknown(s string) string {
	if s == "" {
		return "of unknown type"
	}
	return s
}

// print writes a line of the result.
func (t terminal) print(format string, args ...any) error {
	_, err := fmt.Fprintf(t.out, format+"\n", args...)
	return asLocal(err)
}

// asLocal makes a failure of an error of this machine. A reader that went away,
// like head, has seen enough.
func asLocal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return &failure{code: exitNo}
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return failf(exitLocal, "%s %s: %v", path.Op, path.Path, path.Err)
	}
	return failf(exitLocal, "%v", err)
}
