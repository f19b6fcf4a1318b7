package api

import (
	"net"
	"strings"
	"testing"
)

func TestSubmit_NewSeed_IsAcceptedAndTheCrawlerIsTold(t *testing.T) {
	f := start(t)
	r := f.submit("TEST.com.").want(202)
	r.has("test.com", "seed").has(1.0, "generation").has("running", "status").has(false, "joined").
		has("/api/fcrawler/seed/test.com", "progress_url")
	if got := r.header.Get("Location"); got != "/api/fcrawler/seed/test.com" {
		t.Errorf("Location %q", got)
	}
	if seed := <-f.notified; seed != "test.com" {
		t.Errorf("notified of %q", seed)
	}
	if got := f.store.Do("GET", "fcrawler:seed:test.com:total"); got != "1" {
		t.Errorf("total %v", got)
	}
	if got := f.store.Do("HGET", "fcrawler:seed:test.com:m", "max_pages"); got != "1000" {
		t.Errorf("max_pages %v, want the default", got)
	}
}

func TestSubmit_RunningSeed_IsJoined(t *testing.T) {
	f := start(t)
	f.submit("test.com").want(202)
	keys := f.keys()
	f.submit("test.com").want(200).has(true, "joined").has(1.0, "generation")
	if f.keys() != keys {
		t.Error("a joined submit made keys")
	}
	f.get(f.seedPath("test.com", "")).has(1.0, "progress", "total")
}

func TestSubmit_FinishedSeed_StartsAnewOnlyOnRequest(t *testing.T) {
	f := start(t)
	f.submit("test.com").want(202)
	f.crawl("test.com", 1)
	r := f.submit("test.com").want(200).has(false, "joined").has("completed", "status").has(1.0, "generation")
	if hint, _ := r.at("hint").(string); !strings.Contains(hint, "recrawl") {
		t.Errorf("hint %q", hint)
	}
	f.post("/api/submit", `{"domain":"test.com","recrawl":true}`).want(202).has(2.0, "generation")
	f.get(f.seedPath("test.com", "")).has(1.0, "progress", "total").has(0.0, "progress", "crawled")
}

func TestSubmit_SameIdempotencyKey_GetsTheFirstAnswer(t *testing.T) {
	f := start(t)
	const body = `{"domain":"test.com","recrawl":true}`
	again := func() reply { return f.ask("POST", "/api/submit", body, "Idempotency-Key: k1") }
	again().want(202).has(1.0, "generation")
	f.crawl("test.com", 1)
	again().want(202).has(1.0, "generation")
	f.ask("POST", "/api/submit", body, "Idempotency-Key: k2").want(202).has(2.0, "generation")
}

func TestSubmit_Limits_AreKept(t *testing.T) {
	f := start(t)
	f.post("/api/submit", `{"url":"http://www.test.com:8080/a/../b?c#d","max_pages":7,"max_depth":0}`).want(202).has("www.test.com", "seed")
	if got := f.store.Do("HGET", "fcrawler:seed:www.test.com:m", "max_pages"); got != "7" {
		t.Errorf("max_pages %v", got)
	}
	if l := f.claim("www.test.com"); l.URL != "http://www.test.com:8080/b?c" {
		t.Errorf("starts at %s", l.URL)
	}
}

func TestSubmit_ContentType_MayBeMissingOrAnyJSON(t *testing.T) {
	f := start(t)
	for _, contentType := range []string{"", "text/json", "application/json; charset=utf-8", "application/merge-patch+json"} {
		f.ask("POST", "/api/submit", domainJSON("test.com"), "Content-Type: "+contentType)
	}
	f.get(f.seedPath("test.com", "")).want(200)
}

// Every kind of bad input is answered 4xx with what was expected, and nothing is
// stored.
func TestBadInput_IsRefusedAndNothingIsStored(t *testing.T) {
	const submit = "POST /api/submit"
	f := start(t)
	seed := func(rest string) string { return "/api/fcrawler/seed/test.com" + rest }
	long := strings.Repeat("a", 64)
	for _, row := range []struct {
		name    string
		request string
		body    string
		header  string
		code    int
		says    string // part of the error
	}{
		{"not JSON", submit, `domain=test.com`, "", 400, "not JSON"},
		{"cut JSON", submit, `{"domain": "test.com"`, "", 400, "ends early"},
		{"empty body", submit, "", "", 400, "body is empty"},
		{"blank body", submit, " \n", "", 400, "body is empty"},
		{"null", submit, `null`, "", 400, "domain is missing"},
		{"a list", submit, `["test.com"]`, "", 400, "want an object"},
		{"a string", submit, `"test.com"`, "", 400, "want an object"},
		{"two objects", submit, `{"domain":"test.com"}{"domain":"test.org"}`, "", 400, "goes on after"},
		{"trailing garbage", submit, `{"domain":"test.com"} x`, "", 400, "goes on after"},
		{"unknown field", submit, `{"domain":"test.com","maxpages":5}`, "", 400, `unknown field "maxpages": want domain, url, max_pages, max_depth, recrawl`},
		{"missing domain", submit, `{}`, "", 400, "domain is missing"},
		{"empty domain", submit, `{"domain":""}`, "", 400, "domain is missing"},
		{"domain is a number", submit, `{"domain":5}`, "", 400, `field "domain": want a string`},
		{"domain and url", submit, `{"domain":"test.com","url":"https://test.com/"}`, "", 400, "want one of them"},
		{"domain is a URL", submit, `{"domain":"https://test.com/"}`, "", 400, "is a URL"},
		{"domain has a path", submit, `{"domain":"test.com/a"}`, "", 400, "has a path"},
		{"domain has a port", submit, `{"domain":"test.com:80"}`, "", 400, "has a port"},
		{"domain has a space", submit, `{"domain":"test com"}`, "", 400, "contains a space"},
		{"domain has a line end", submit, `{"domain":"test.com\n"}`, "", 400, "contains a space"},
		{"domain has a zero byte", submit, `{"domain":"test.com\u0000"}`, "", 400, "control character"},
		{"domain has a brace", submit, `{"domain":"{test}.com"}`, "", 400, "brace"},
		{"single label", submit, `{"domain":"localhost"}`, "", 400, "single label"},
		{"IPv4 address", submit, `{"domain":"192.0.2.1"}`, "", 400, "is an IP address"},
		{"IPv4 address in hex", submit, `{"domain":"0x7f.1"}`, "", 400, "is an IP address"},
		{"IPv6 address", submit, `{"domain":"2001:db8::1"}`, "", 400, "is an IP address"},
		{"IPv6 address in brackets", submit, `{"domain":"[::1]"}`, "", 400, "is an IP address"},
		{"label begins with a hyphen", submit, `{"domain":"-a.com"}`, "", 400, "hyphen"},
		{"label ends with a hyphen", submit, `{"domain":"a-.com"}`, "", 400, "hyphen"},
		{"empty label", submit, `{"domain":"a..com"}`, "", 400, "not a valid host name"},
		{"label is too long", submit, `{"domain":"` + long + `.com"}`, "", 400, "not a valid host name"},
		{"name is too long", submit, `{"domain":"` + strings.Repeat(long[:60]+".", 5) + `com"}`, "", 400, "not a valid host name"},
		{"label has an underscore", submit, `{"domain":"a_b.com"}`, "", 400, "underscore"},
		{"bad punycode", submit, `{"domain":"xn--a.com"}`, "", 400, "not a valid host name"},
		{"url is no URL", submit, `{"url":"::"}`, "", 400, "url"},
		{"url of another scheme", submit, `{"url":"ftp://test.com/"}`, "", 400, "url"},
		{"url with a password", submit, `{"url":"https://u:p@test.com/"}`, "", 400, "url"},
		{"url with an IP address", submit, `{"url":"http://127.0.0.1/"}`, "", 400, "is an IP address"},
		{"max_pages is negative", submit, `{"domain":"test.com","max_pages":-1}`, "", 400, `field "max_pages"`},
		{"max_pages is huge", submit, `{"domain":"test.com","max_pages":1000000001}`, "", 400, `field "max_pages"`},
		{"max_pages overflows", submit, `{"domain":"test.com","max_pages":1e30}`, "", 400, `field "max_pages": want a whole number`},
		{"max_pages is a string", submit, `{"domain":"test.com","max_pages":"5"}`, "", 400, `field "max_pages": want a whole number, have string`},
		{"max_pages is a fraction", submit, `{"domain":"test.com","max_pages":1.5}`, "", 400, `field "max_pages": want a whole number`},
		{"max_depth is out of range", submit, `{"domain":"test.com","max_depth":8192}`, "", 400, `field "max_depth"`},
		{"recrawl is a string", submit, `{"domain":"test.com","recrawl":"yes"}`, "", 400, `field "recrawl": want true or false`},
		{"idempotency key is too long", submit, `{"domain":"test.com"}`, "Idempotency-Key: " + strings.Repeat("k", 256), 400, "Idempotency-Key"},
		{"idempotency key is not ASCII", submit, `{"domain":"test.com"}`, "Idempotency-Key: ä", 400, "Idempotency-Key"},
		{"body over 1 MiB", submit, `{"domain":"test.com","url":"` + strings.Repeat("a", 1<<20) + `"}`, "", 413, "1048576 bytes"},
		{"sent as a form", submit, `{"domain":"test.com"}`, "Content-Type: application/x-www-form-urlencoded", 415, "want application/json"},
		{"sent as text", submit, `{"domain":"test.com"}`, "Content-Type: text/plain", 415, "want application/json"},
		{"wrong method", "GET /api/submit", "", "", 405, "want POST"},
		{"wrong method, body", "PUT /api/submit", `{"domain":"test.com"}`, "", 405, "want POST"},
		{"wrong method on a seed", "DELETE " + seed(""), "", "", 405, "want GET"},
		{"steering by GET", "GET " + seed("/cancel"), "", "", 405, "want POST"},
		{"unknown parameter of submit", submit + "?domain=test.com", `{"domain":"test.com"}`, "", 400, `unknown parameter "domain"`},
		{"unknown path", "GET /api/nothing", "", "", 404, "no such path"},
		{"path with a slash too many", "GET " + seed("/"), "", "", 404, "no such path"},
		{"unknown seed", "GET " + seed(""), "", "", 404, "unknown seed"},
		{"unknown seed's pages", "GET " + seed("/pages"), "", "", 404, "unknown seed"},
		{"unknown seed's features", "GET " + seed("/features"), "", "", 404, "unknown seed"},
		{"pause an unknown seed", "POST " + seed("/pause"), "", "", 404, "unknown seed"},
		{"resume an unknown seed", "POST " + seed("/resume"), "", "", 404, "unknown seed"},
		{"cancel an unknown seed", "POST " + seed("/cancel"), "", "", 404, "unknown seed"},
		{"retry an unknown seed", "POST " + seed("/retry"), "", "", 404, "unknown seed"},
		{"audit an unknown seed", "POST " + seed("/audit?repair=true"), "", "", 404, "unknown seed"},
		{"seed that is no name", "GET /api/fcrawler/seed/127.0.0.1", "", "", 404, "is an IP address"},
		{"seed with a colon", "GET /api/fcrawler/seed/test.com:u", "", "", 404, "unknown seed"},
		{"status is unknown", "GET /api/fcrawler/seeds?status=done", "", "", 400, "want running, paused, cancelled, completed"},
		{"cursor is no number", "GET /api/fcrawler/seeds?cursor=x", "", "", 400, "cursor"},
		{"cursor is too large", "GET /api/fcrawler/seeds?cursor=18446744073709551615", "", "", 400, "cursor"},
		{"limit is 0", "GET /api/fcrawler/seeds?limit=0", "", "", 400, "limit"},
		{"limit is large", "GET /api/fcrawler/active?limit=1001", "", "", 400, "limit"},
		{"parameter given twice", "GET /api/fcrawler/seeds?limit=1&limit=2", "", "", 400, "want it once"},
		{"query cannot be read", "GET /api/fcrawler/seeds?limit=%zz", "", "", 400, "query"},
		{"state is unknown", "GET " + seed("/pages?state=lost"), "", "", 400, "want queued, delayed, in_flight, crawled, failed, skipped"},
		{"page cursor is no number", "GET " + seed("/pages?cursor=-1"), "", "", 400, "cursor"},
		{"format is unknown", "GET " + seed("/features?format=xml"), "", "", 400, "want jsonl, csv"},
		{"repair is unknown", "POST " + seed("/audit?repair=yes"), "", "", 400, "want false, true"},
		{"steering with a body", "POST " + seed("/pause"), `{"seed":"test.com"}`, "", 400, `unknown field "seed": want none`},
		{"retry without a page", "POST " + seed("/retry"), `{"pages":[]}`, "", 400, "pages is empty"},
		{"retry of no page's id", "POST " + seed("/retry"), `{"pages":["1"]}`, "", 400, "want an id"},
		{"retry of a word", "POST " + seed("/retry"), `{"pages":"all"}`, "", 400, `field "pages": want a list`},
	} {
		t.Run(row.name, func(t *testing.T) {
			f.t = t
			keys := f.keys()
			method, path, _ := strings.Cut(row.request, " ")
			var headers []string
			if row.header != "" {
				headers = []string{row.header}
			}
			r := f.ask(method, path, row.body, headers...).want(row.code)
			if text, _ := r.at("error").(string); !strings.Contains(text, row.says) {
				t.Errorf("error %q does not say %q", text, row.says)
			}
			if row.code == 405 && r.header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
			if now := f.keys(); now != keys {
				t.Errorf("%d keys, had %d: %v", now, keys, f.store.Do("KEYS", "*"))
			}
			if len(f.notified) != 0 {
				t.Error("the crawler was woken")
			}
		})
	}
}

func TestSubmit_BodyThatNeverEnds_IsCutAtTheLimit(t *testing.T) {
	f := start(t)
	conn, err := net.Dial("tcp", f.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	send := func(s string) { _, _ = conn.Write([]byte(s)) } // fails once the server has hung up
	send("POST /api/submit HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
	for range 17 {
		send(chunk)
	}
	status := make([]byte, len("HTTP/1.1 413"))
	if _, err := conn.Read(status); err != nil || string(status) != "HTTP/1.1 413" {
		t.Errorf("%q, %v", status, err)
	}
	if f.keys() != 0 {
		t.Error("something was stored")
	}
}
