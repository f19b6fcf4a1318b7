package fetch

import (
	"net/http"
	"strings"
	"testing"
)

func TestParseConnectTo_ReadsWhatCurlReads(t *testing.T) {
	for _, c := range []struct{ rule, host, port, toHost, toPort string }{
		{"a.com:80:b.com:81", "a.com", "80", "b.com", "81"},
		{"a.com:80:b.com:81", "A.COM", "80", "b.com", "81"},
		{"a.com:80:b.com:81", "a.com", "443", "a.com", "443"},
		{"a.com:80:b.com:81", "www.a.com", "80", "www.a.com", "80"},
		{"::b.com:81", "any.example", "443", "b.com", "81"},
		{"a.com::b.com:", "a.com", "8443", "b.com", "8443"},
		{":443::8443", "a.com", "443", "a.com", "8443"},
		{":443::8443", "a.com", "80", "a.com", "80"},
		{":::", "a.com", "80", "a.com", "80"},
		{"[::1]:80:[2001:db8::2]:81", "::1", "80", "2001:db8::2", "81"},
		{"[0:0::1]:80:[2001:db8::2]:81", "::1", "80", "2001:db8::2", "81"},
		{"a.com:80:[::1]:", "a.com", "80", "::1", "80"},
	} {
		rule, err := ParseConnectTo(c.rule)
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		if host, port := redirectTo([]ConnectTo{rule}, c.host, c.port); host != c.toHost || port != c.toPort {
			t.Errorf("%s: %s port %s goes to %s port %s, want %s port %s", c.rule, c.host, c.port, host, port, c.toHost, c.toPort)
		}
		if rule.String() != c.rule {
			t.Errorf("%s is written back as %s", c.rule, rule)
		}
	}
}

func TestParseConnectTo_Nonsense_IsAnErrorThatSaysWhy(t *testing.T) {
	for rule, why := range map[string]string{
		"":                   "fewer than four",
		"a.com:80":           "fewer than four",
		"a.com:80:b.com":     "fewer than four",
		"a:80:b:81:82":       "more than four",
		"a:x:b:81":           "not a number",
		"a:80:b:0":           "not a number",
		"a:80:b:65536":       "not a number",
		"a:80:b:-1":          "not a number",
		"[::1:80:b:81":       "not closed",
		"[a.com]:80:b:81":    "not an IPv6",
		"[::1]80:80:b:81":    "after the bracket",
		"a:80:::1:81":        "more than four",
		"a b:80:c:81":        "not a host",
		"http://a.com:1:b:2": "", // a colon too many, whichever way it is read
	} {
		if _, err := ParseConnectTo(rule); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: error %v, want one with %q", rule, err, why)
		}
	}
}

func TestRedirectTo_FirstRuleThatNamesATarget_Decides(t *testing.T) {
	var rules []ConnectTo
	for _, s := range []string{"a.com:80::", "a.com:80:b.com:1", "::c.com:2"} {
		rule, err := ParseConnectTo(s)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, rule)
	}
	if host, port := redirectTo(rules, "a.com", "80"); host+":"+port != "b.com:1" {
		t.Errorf("a.com goes to %s:%s", host, port)
	}
	if host, port := redirectTo(rules, "z.com", "80"); host+":"+port != "c.com:2" {
		t.Errorf("z.com goes to %s:%s", host, port)
	}
}

func TestFetch_ConnectTo_KeepsTheHostHeader(t *testing.T) {
	c := site(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) })
	if r := get(t, c, "http://www.test.com:8080/"); string(r.Body) != "www.test.com:8080" {
		t.Errorf("Host was %s", r.Body)
	}
}
