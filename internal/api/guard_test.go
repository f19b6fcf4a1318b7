package api

import (
	"strings"
	"testing"
)

func TestToken_IsNeededForAllButHealth(t *testing.T) {
	f := start(t, func(o *Options) { o.Token = "s3cret" })
	for _, path := range []string{"/api/fcrawler/seeds", "/api/fcrawler/seed/test.com", "/metrics", "/api/persistence", "/api/nothing"} {
		for _, header := range []string{"X: y", "Authorization: Bearer wrong", "Authorization: s3cret", "Authorization: Basic s3cret", "Authorization: Bearer"} {
			r := f.ask("GET", path, "", header).want(401)
			if !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
				t.Error("401 without WWW-Authenticate")
			}
		}
	}
	f.ask("POST", "/api/submit", domainJSON("test.com")).want(401)
	if f.keys() != 0 {
		t.Error("something was stored")
	}
	f.get("/health").want(200)
	f.ask("POST", "/api/submit", domainJSON("test.com"), "Authorization: Bearer s3cret").want(202)
	f.ask("GET", "/api/fcrawler/seed/test.com", "", "Authorization: bearer s3cret", "Host: any.example").want(200)
}

// A page whose name resolves to this machine must not get an answer.
func TestHost_OfAStranger_IsRefusedWithoutToken(t *testing.T) {
	f := start(t, func(o *Options) { o.Hosts = []string{"limpet.lan"} })
	for _, host := range []string{"evil.example", "evil.example:3001", "localhost.evil.example", "127.0.0.1.evil.example", "limpet.lan.evil.example"} {
		f.ask("GET", "/api/fcrawler/seeds", "", "Host: "+host).want(403)
		f.ask("GET", "/health", "", "Host: "+host).want(200)
	}
	for _, host := range []string{"localhost", "LOCALHOST:3001", "127.0.0.1:3001", "[::1]:3001", "192.0.2.7", "Limpet.lan:3001"} {
		f.ask("GET", "/api/fcrawler/seeds", "", "Host: "+host).want(200)
	}
}

func TestPageOfAnotherOrigin_CannotSteer(t *testing.T) {
	f := start(t)
	f.submit("test.com")
	for _, header := range []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Origin: null"} {
		f.ask("POST", "/api/fcrawler/seed/test.com/cancel", "", header).want(403)
	}
	f.get(f.seedPath("test.com", "")).has("running", "progress", "status")
	f.ask("POST", "/api/fcrawler/seed/test.com/cancel", "", "Sec-Fetch-Site: same-origin").want(200)
}

func TestAnswers_CarrySecurityHeaders(t *testing.T) {
	f := start(t)
	for _, path := range []string{"/health", "/metrics", "/api/nothing", "/api/fcrawler/seeds"} {
		h := f.get(path).header
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}
