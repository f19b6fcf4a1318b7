package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http2"
)

// Kind says what stood between a URL and its page. Kinds are stored with
// failed pages, so their text does not change.
type Kind string

const (
	KindDNS       Kind = "dns"             // the name has no address, or none was to be had
	KindConnect   Kind = "connect"         // no TCP connection
	KindTLS       Kind = "tls"             // no TLS session; not: an invalid certificate
	KindTimeout   Kind = "timeout"         // a time-out of Options; Err says which
	KindReset     Kind = "reset"           // the connection ended before the answer did
	KindRefused   Kind = "refused-address" // the guard; Err is a *RefusedError
	KindRobots    Kind = "robots"          // disallowed, or (retryable) not known
	KindRedirects Kind = "too-many-redirects"
	KindProtocol  Kind = "protocol"  // the answer is not HTTP, or (not retryable) the URL no page's
	KindStatus    Kind = "status"    // an answer that is no page; Status says which
	KindBody      Kind = "body"      // cut short, or coded as nobody asked for
	KindDeferred  Kind = "deferred"  // not tried: the host may not be asked for RetryAfter
	KindCancelled Kind = "cancelled" // the caller's context ended
)

// Error is what Fetch returns when there is no page.
type Error struct {
	Kind       Kind
	URL        string        // the URL that failed, the last of a chain of redirects
	Status     int           // with KindStatus
	Retryable  bool          // a later try may end differently
	RetryAfter time.Duration // what the host asked for, or its pace; at most MaxRetryAfter
	Err        error         // the cause; nil with KindStatus

	// unconnected: no byte of HTTP was exchanged, so another scheme may do.
	unconnected bool
}

func (e *Error) Error() string {
	if e.Kind == KindStatus {
		return fmt.Sprintf("fetch %s: status %d", e.URL, e.Status)
	}
	return fmt.Sprintf("fetch %s: %s: %v", e.URL, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Disallowed reports whether robots.txt forbids the page: it is to be skipped,
// not failed.
func (e *Error) Disallowed() bool { return e.Kind == KindRobots && !e.Retryable }

// timeoutError is the cause of a context that one of the client's own
// time-outs has cancelled.
type timeoutError struct {
	phase string // "connect", "tls", "headers", "body", "exchange"
	limit time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("%s took longer than %s", e.phase, e.limit)
}

// Timeout makes it a net.Error in spirit, so errors.Is(err,
// os.ErrDeadlineExceeded) holds too.
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// dialError is a failure before HTTP began. The transport hands it through
// unchanged.
type dialError struct {
	kind      Kind
	retryable bool
	err       error
}

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// bodyError is a body that is not what its headers say. It wraps
// io.ErrUnexpectedEOF when the body merely ends too early.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// classify turns whatever the transport or a body returned into an *Error.
func classify(ctx context.Context, url string, err error) *Error {
	e := &Error{URL: url, Err: err}
	var dial *dialError
	var timeout *timeoutError
	var body *bodyError
	switch {
	case errors.As(context.Cause(ctx), &timeout):
		e.Kind, e.Retryable, e.Err = KindTimeout, true, timeout
	case ctx.Err() != nil:
		e.Kind, e.Retryable, e.Err = KindCancelled, true, context.Cause(ctx)
	case errors.As(err, &dial):
		e.Kind, e.Retryable, e.unconnected = dial.kind, dial.retryable, true
	case isTimeout(err):
		e.Kind, e.Retryable = KindTimeout, true
	case errors.As(err, &body):
		e.Kind, e.Retryable = KindBody, errors.Is(err, io.ErrUnexpectedEOF)
	case isReset(err):
		e.Kind, e.Retryable = KindReset, true
	default:
		// net/http does not tell half a header line from a wrong one, so this
		// too may be an answer that was cut short.
		e.Kind, e.Retryable = KindProtocol, true
	}
	return e
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// isReset recognises a connection that ended early: by a TCP reset, by a plain
// close where bytes were due, by an HTTP/2 stream or connection error.
func isReset(err error) bool {
	var stream http2.StreamError
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.As(err, &stream):
		return true
	}
	// net/http does not export these.
	text := err.Error()
	return strings.Contains(text, "server closed idle connection") ||
		strings.Contains(text, "http2: client connection lost") ||
		strings.Contains(text, "http2: server sent GOAWAY")
}

// classifyDNS decides about a lookup: a name that does not exist will not exist
// in a minute either, but a resolver that does not answer may.
func classifyDNS(err error) *dialError {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return &dialError{kind: KindDNS, err: err}
	}
	return &dialError{kind: KindDNS, retryable: true, err: err}
}

func classifyConnect(err error) *dialError {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return &dialError{kind: KindRefused, err: refused}
	}
	return &dialError{kind: KindConnect, retryable: true, err: err}
}

// classifyHandshake tells a peer that went away from one that cannot be agreed
// with.
func classifyHandshake(err error) *dialError {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record):
		err = fmt.Errorf("the answer is not TLS: %w", err)
	case isReset(err):
		return &dialError{kind: KindReset, retryable: true, err: err}
	}
	return &dialError{kind: KindTLS, err: err}
}

// statusError decides what a final status means for the page; it returns nil
// for a status that is a page. A redirect that can be followed never gets here.
func statusError(url string, status int, retryAfter time.Duration) *Error {
	e := &Error{Kind: KindStatus, URL: url, Status: status}
	switch {
	case status >= 200 && status < 300, status == 300: // 300 has a body of its own
		return nil
	case status == 408, status == 425, status == 429, // time-out, too early, too many
		status >= 500 && status < 600:
		e.Retryable, e.RetryAfter = true, retryAfter
	}
	return e
}
