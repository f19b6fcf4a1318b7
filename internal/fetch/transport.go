package fetch

import (
	"crypto/tls"
	"net/http"
	"time"
)

// newTransport returns the pool of connections, which are made by a dialer and
// nothing else.
func newTransport(opts Options) *http.Transport {
	d := &dialer{
		resolver:  opts.Resolver,
		connectTo: opts.ConnectTo,
		guard:     newGuard(opts.AllowNet),
		tls: &tls.Config{
			// Verified by dialer.verify, whose finding is reported. No secret
			// is ever sent.
			InsecureSkipVerify: true,
			MinVersion:         opts.MinTLS,
			NextProtos:         []string{"h2", "http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(256),
		},
		strict:         opts.StrictTLS,
		roots:          opts.RootCAs,
		connectTimeout: opts.ConnectTimeout,
		tlsTimeout:     opts.TLSTimeout,
	}
	return &http.Transport{
		Proxy:                  nil, // a proxy would connect where the guard cannot see
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // body.go does it, with limits
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    opts.PerHost,
		IdleConnTimeout:        30 * time.Second,
		ResponseHeaderTimeout:  opts.HeaderTimeout,
		MaxResponseHeaderBytes: 256 << 10,
		ReadBufferSize:         16 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}
