package fetch

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter is the longest wait that a server can impose by Retry-After.
const MaxRetryAfter = time.Hour

// exchange sends one GET and reads the answer, up to limit bytes of body. It
// follows nothing and asks no one; an answer of any status is a success.
func (c *Client) exchange(ctx context.Context, url string, limit int64) (*Response, *Error) {
	ctx, cancel := withTimeout(ctx, "exchange", c.opts.TotalTimeout)
	defer cancel()
	ctx, cancelBody := context.WithCancelCause(ctx)
	defer cancelBody(nil)

	start := time.Now()
	var used httptrace.GotConnInfo
	var ready time.Time
	trace := httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		used, ready = info, time.Now()
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &trace), http.MethodGet, url, nil)
	if err != nil {
		return nil, &Error{Kind: KindProtocol, URL: url, Err: err}
	}
	req.Header = c.header // shared; the transport only reads it
	answer, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, classify(ctx, url, err)
	}
	defer func() { _ = answer.Body.Close() }()
	r := &Response{
		URL:        url,
		Status:     answer.StatusCode,
		Proto:      answer.Proto,
		Header:     answer.Header,
		TLS:        answer.TLS,
		RetryAfter: parseRetryAfter(answer.Header.Get("Retry-After"), c.opts.Clock.Now()),
	}
	r.Timings.TTFB = time.Since(ready)
	r.describeConn(used)

	bodyTimer := time.AfterFunc(c.opts.BodyTimeout, func() {
		cancelBody(&timeoutError{"body", c.opts.BodyTimeout})
	})
	defer bodyTimer.Stop()
	if _, redirect := r.location(); redirect {
		// Read only so that the connection can be used again.
		limit = min(limit, maxRedirectBody)
	}
	if err := r.readBody(answer, limit); err != nil && statusError(url, r.Status, 0) == nil {
		return nil, classify(ctx, url, err)
	}
	r.Timings.Total = time.Since(start)
	return r, nil
}

// maxRedirectBody is how much of a redirect's own body is worth reading to
// keep a connection.
const maxRedirectBody = 64 << 10

func (r *Response) describeConn(used httptrace.GotConnInfo) {
	c := connOf(used.Conn)
	if c == nil {
		return
	}
	r.RemoteIP, r.TLSVerifyError = c.remote, c.verifyError
	if !used.Reused {
		r.Timings.DNS, r.Timings.Connect, r.Timings.TLS = c.dns, c.connect, c.tlsTime
	}
}

// readBody fills in the body and what is known from it.
func (r *Response) readBody(answer *http.Response, limit int64) error {
	p, err := readBody(answer.Body, codingsOf(answer.Header["Content-Encoding"]), limit)
	defer p.release()
	r.RawSize, r.Truncated = p.raw, p.cut
	data := p.data.Bytes()

	contentType := answer.Header.Get("Content-Type")
	if strings.TrimSpace(contentType) == "" && len(data) > 0 {
		r.Sniffed = true
		contentType = http.DetectContentType(data)
		if strings.HasPrefix(contentType, "text/") {
			contentType, _, _ = strings.Cut(contentType, ";") // its charset is a guess
		}
	}
	r.MediaType = mediaType(contentType)
	switch {
	case len(data) == 0:
	case isText(r.MediaType):
		r.Body, r.Charset = toUTF8(data, contentType, p.cut)
	default:
		r.Body = append(make([]byte, 0, len(data)), data...)
	}
	return err
}

// parseRetryAfter reads Retry-After in either form, seconds or a date (RFC 9110
// section 10.2.3). What it cannot read is no wait at all.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, MaxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), MaxRetryAfter)
	}
	return 0
}
