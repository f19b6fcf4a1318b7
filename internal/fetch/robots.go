package fetch

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"limpet/internal/weburl"
)

const (
	maxRobots         = 500 << 10 // bytes read of a robots.txt (RFC 9309 section 2.5)
	maxRobotsHops     = 5         // redirects followed to it (section 2.3.1.2)
	robotsFresh       = time.Hour
	robotsStale       = 24 * time.Hour // use of an old copy while no new one is to be had (section 2.4)
	robotsRetry       = 5 * time.Second
	maxRobotsRetry    = 5 * time.Minute
	maxRobotsOrigins  = 4096
	robotsUnavailable = "robots.txt answers %d: it is not known what may be fetched"
)

// robots knows what the robots.txt of each origin says, and asks once for many
// who want to know.
type robots struct {
	client *Client
	agent  string // product token

	mu      sync.Mutex // guards the map and every origin in it
	origins map[string]*origin
}

// origin is the state of one scheme, host and port.
type origin struct {
	rules    *Rules    // nil until robots.txt was read once
	read     time.Time // when rules were
	failure  *Error    // of the last attempt; nil when it succeeded
	failures int       // in a row
	expires  time.Time // neither is asked for again before
	asking   chan struct{}
}

// current returns what is known at a moment; known is false when robots.txt
// has to be asked for.
func (o *origin) current(now time.Time) (rules *Rules, failure *Error, known bool) {
	if !now.Before(o.expires) {
		return nil, nil, false
	}
	if o.failure == nil || o.rules != nil && now.Sub(o.read) < robotsStale {
		return o.rules, nil, true
	}
	again := *o.failure
	again.RetryAfter = max(again.RetryAfter, o.expires.Sub(now))
	return nil, &again, true
}

// rules returns what the robots.txt for a page says. The error, when robots.txt
// cannot be had, has the kind of the cause, or KindRobots when it is an answer
// of the server; it is never Disallowed.
func (b *robots) rules(ctx context.Context, url string) (*Rules, *Error) {
	key := originOf(url)
	for {
		b.mu.Lock()
		o := b.origin(key)
		if rules, failure, known := o.current(b.client.opts.Clock.Now()); known {
			b.mu.Unlock()
			return rules, failure
		}
		if asking := o.asking; asking != nil {
			b.mu.Unlock()
			select {
			case <-asking:
				continue
			case <-ctx.Done():
				return nil, &Error{Kind: KindCancelled, URL: url, Retryable: true, Err: context.Cause(ctx)}
			}
		}
		o.asking = make(chan struct{})
		b.mu.Unlock()

		rules, err := b.ask(ctx, key)

		b.mu.Lock()
		close(o.asking)
		o.asking = nil
		b.note(o, rules, err)
		known, failure, ok := o.current(b.client.opts.Clock.Now())
		b.mu.Unlock()
		if ok {
			return known, failure
		}
		return rules, err
	}
}

// note keeps the outcome of asking. A fetch that was not made to its end says
// nothing about the host, so the next one who wants to know asks again. It
// needs mu.
func (b *robots) note(o *origin, rules *Rules, err *Error) {
	now := b.client.opts.Clock.Now()
	switch {
	case err == nil:
		o.rules, o.read, o.failure, o.failures = rules, now, nil, 0
		o.expires = now.Add(robotsFresh)
	case err.Kind == KindCancelled || err.Kind == KindDeferred:
	default:
		pause := min(robotsRetry<<min(o.failures, 10), maxRobotsRetry)
		o.failure, o.failures = err, o.failures+1
		o.expires = now.Add(max(pause, err.RetryAfter))
	}
}

// ask fetches and reads a robots.txt.
func (b *robots) ask(ctx context.Context, origin string) (*Rules, *Error) {
	url := origin + "/robots.txt"
	for hop := 0; ; hop++ {
		answer, err := b.client.paced(ctx, url, 0, maxRobots)
		if err != nil {
			return nil, err
		}
		switch status := answer.Status; {
		case status >= 200 && status < 300:
			text := answer.Body
			if answer.Truncated { // half a "Disallow: /a" could read "Disallow: /"
				text = text[:bytes.LastIndexAny(text, "\r\n")+1]
			}
			return parseRules(text, b.agent), nil
		case status == 429 || status >= 500:
			return nil, &Error{Kind: KindRobots, URL: url, Retryable: true, RetryAfter: answer.RetryAfter,
				Err: fmt.Errorf(robotsUnavailable, status)}
		}
		location, redirect := answer.location()
		target, bad := resolve(url, location)
		if !redirect || bad != nil || hop == maxRobotsHops {
			return new(Rules), nil // there is none: all is allowed (section 2.3.1.3)
		}
		url = target
	}
}

// origin returns the state of an origin, making room for it when there are
// very many. It needs mu.
func (b *robots) origin(key string) *origin {
	if o := b.origins[key]; o != nil {
		return o
	}
	if len(b.origins) >= maxRobotsOrigins {
		b.evict()
	}
	o := new(origin)
	b.origins[key] = o
	return o
}

// evict forgets what has expired, and if that is not enough then half of the
// rest, whichever half. It needs mu.
func (b *robots) evict() {
	now := b.client.opts.Clock.Now()
	for key, o := range b.origins {
		if o.asking == nil && !now.Before(o.expires) {
			delete(b.origins, key)
		}
	}
	for key, o := range b.origins {
		if len(b.origins) <= maxRobotsOrigins/2 {
			break
		}
		if o.asking == nil {
			delete(b.origins, key)
		}
	}
}

// originOf returns the scheme, host and port of a normalised URL.
func originOf(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return url[:len(scheme)+len("://")+len(host)]
}

// resolve returns the normalised URL that a Location on a page means.
func resolve(url, location string) (string, error) {
	page, err := weburl.NewResolver(url)
	if err != nil {
		return "", err
	}
	return page.Resolve(location)
}
