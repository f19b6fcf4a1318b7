package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"limpet/internal/weburl"
)

// Client fetches pages. It is safe for concurrent use; a process needs one.
type Client struct {
	opts      Options
	header    http.Header // of every request; never written to
	transport *http.Transport
	pacer     *pacer
	robots    *robots
}

// New returns a Client. The error says which option makes no sense.
func New(opts Options) (*Client, error) {
	opts = opts.withDefaults()
	agent := productToken(opts.UserAgent)
	switch {
	case agent == "":
		return nil, fmt.Errorf("fetch: user agent %q does not begin with a name", opts.UserAgent)
	case strings.ContainsAny(opts.UserAgent, "\r\n\x00"):
		return nil, fmt.Errorf("fetch: user agent %q has a control character", opts.UserAgent)
	case opts.PerHost < 0 || opts.MaxBody < 0 || opts.MaxHops < 0 || opts.Delay < 0:
		return nil, errors.New("fetch: a limit is below zero")
	}
	c := &Client{
		opts: opts,
		header: http.Header{
			"User-Agent":      {opts.UserAgent},
			"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
			"Accept-Encoding": {acceptEncoding},
		},
		transport: newTransport(opts),
		pacer:     newPacer(opts.Clock, opts.PerHost, opts.Delay, opts.MaxWait),
	}
	c.robots = &robots{client: c, agent: agent, origins: make(map[string]*origin)}
	return c, nil
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Ready returns how long the host of a page should be left alone; zero means
// that Fetch would not wait. A crawl that asks first never blocks a worker.
func (c *Client) Ready(url string) time.Duration { return c.pacer.ready(weburl.Split(url).Host) }

// Robots returns what the robots.txt for a page says, from memory or from the
// host. The error is an *Error.
func (c *Client) Robots(ctx context.Context, url string) (*Rules, error) {
	normal, bad := weburl.Normalize(url)
	if bad != nil {
		return nil, &Error{Kind: KindProtocol, URL: url, Err: bad}
	}
	rules, err := c.robots.rules(ctx, normal)
	if err != nil {
		return nil, err
	}
	return rules, nil
}

// Fetch gets a page. It waits for the host's pace, at most Options.MaxWait a
// request, and follows redirects within Request.Seed.
//
// The error is an *Error; the Result is never nil. With an error it holds what
// was learned until then: the Hops and, for KindStatus and KindRedirects, the
// Response.
func (c *Client) Fetch(ctx context.Context, req Request) (*Result, error) {
	url, bad := weburl.Normalize(req.URL)
	if bad != nil {
		return new(Result), &Error{Kind: KindProtocol, URL: req.URL, Err: bad}
	}
	result, err := c.follow(ctx, req, url)
	if err == nil {
		return result, nil
	}
	plain, ok := fallbackURL(req, url, result, err)
	if !ok {
		return result, err
	}
	other, otherErr := c.follow(ctx, req, plain)
	if otherErr != nil && otherErr.unconnected {
		return result, err // http is no better; https is what was asked for
	}
	other.FallbackCause = err
	if otherErr != nil {
		return other, otherErr
	}
	return other, nil
}

// fallbackURL returns the same page under http when https failed in a way that
// lets http be tried.
func fallbackURL(req Request, url string, result *Result, err *Error) (string, bool) {
	rest, isHTTPS := strings.CutPrefix(url, "https://")
	if !req.AllowSchemeFallback || !isHTTPS || weburl.Split(url).Port != "" ||
		len(result.Hops) > 0 || !err.unconnected {
		return "", false
	}
	switch err.Kind {
	case KindConnect, KindTLS, KindTimeout, KindReset:
		return "http://" + rest, true
	}
	return "", false
}

// follow fetches url and goes where it leads.
func (c *Client) follow(ctx context.Context, req Request, url string) (*Result, *Error) {
	result := new(Result)
	for {
		answer, err := c.page(ctx, url)
		if err != nil {
			if err.Disallowed() && len(result.Hops) > 0 {
				result.Stop = StopRobots
				return result, nil
			}
			return result, err
		}
		result.Response = *answer
		location, redirect := answer.location()
		if !redirect {
			if err := statusError(url, answer.Status, answer.RetryAfter); err != nil {
				return result, err
			}
			return result, nil
		}
		hop := Hop{URL: url, Status: answer.Status, Location: location}
		hop.Target, result.Stop = target(req, url, location)
		result.Hops = append(result.Hops, hop)
		if result.Stop != "" {
			return result, nil
		}
		if err := c.endless(result.Hops); err != nil {
			return result, err
		}
		url = hop.Target
	}
}

// target returns the page that a redirect leads to, and why not to go there.
func target(req Request, url, location string) (string, Stop) {
	to, err := resolve(url, location)
	switch {
	case err != nil:
		return "", StopTarget
	case !req.Seed.ContainsURL(to):
		return to, StopScope
	case req.SamePageOnly && weburl.ID(to) != weburl.ID(url):
		return to, StopOtherPage
	}
	return to, ""
}

// endless returns an error when the last hop is one too many, or leads to a
// page of the chain: without cookies it would answer the same again.
func (c *Client) endless(hops []Hop) *Error {
	last := hops[len(hops)-1]
	e := &Error{Kind: KindRedirects, URL: last.URL}
	for _, hop := range hops {
		if hop.URL == last.Target {
			e.Err = fmt.Errorf("circle of %d redirects back to %s", len(hops), last.Target)
			return e
		}
	}
	if len(hops) > c.opts.MaxHops {
		e.Err = fmt.Errorf("more than %d redirects", c.opts.MaxHops)
		return e
	}
	return nil
}

// page fetches one URL if robots.txt lets it.
func (c *Client) page(ctx context.Context, url string) (*Response, *Error) {
	rules, err := c.robots.rules(ctx, url)
	if err != nil {
		return nil, err
	}
	if !rules.Allowed(url) {
		return nil, &Error{Kind: KindRobots, URL: url, Err: errors.New("robots.txt disallows it")}
	}
	return c.paced(ctx, url, rules.CrawlDelay, c.opts.MaxBody)
}

// paced makes one exchange at the host's pace, and lets the host slow us down.
func (c *Client) paced(ctx context.Context, url string, delay time.Duration, limit int64) (*Response, *Error) {
	host := weburl.Split(url).Host
	release, err := c.pacer.acquire(ctx, host, delay)
	if err != nil {
		err.URL = url
		return nil, err
	}
	defer release()
	answer, failure := c.exchange(ctx, url, limit)
	if failure == nil && answer.RetryAfter > 0 && (answer.Status == 429 || answer.Status == 503) {
		c.pacer.postpone(host, answer.RetryAfter)
	}
	return answer, failure
}
