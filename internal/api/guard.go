package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

const healthPath = "/health"

// guard turns away who may not ask. /health is open to everyone: it tells a load
// balancer whether to send requests here, and nothing else.
func (a *api) guard(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		switch {
		case r.URL.Path == healthPath:
		case a.Token == "" && !a.hostAllowed(r.Host):
			a.refuse(w, r, refusef(http.StatusForbidden, "requests for host %.200q are not answered without a token", r.Host).
				withHint("ask by IP address or as localhost, allow the name with --api-host, or set --api-token"))
			return
		case a.Token != "" && !a.tokenFits(r):
			h.Set("WWW-Authenticate", `Bearer realm="limpet"`)
			a.refuse(w, r, refusef(http.StatusUnauthorized, "missing or wrong token").
				withHint("send the header Authorization: Bearer TOKEN"))
			return
		}
		if err := foreign.Check(r); err != nil {
			a.refuse(w, r, refusef(http.StatusForbidden, "requests by pages of another origin are not answered"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tokenFits compares digests, so that the time it takes tells nothing about the
// token, its length included.
func (a *api) tokenFits(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	want, have := sha256.Sum256([]byte(a.Token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	return subtle.ConstantTimeCompare(want[:], have[:]) == 1
}

// hostAllowed keeps a web page from reading the API through the browser of
// someone who can: it would have to have its own name resolve to this machine
// (DNS rebinding), and that name is then the Host. An address cannot be rebound.
func (a *api) hostAllowed(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return true
	}
	for _, name := range a.Hosts {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	return false
}
