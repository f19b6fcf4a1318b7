package weburl

import (
	"errors"
	"strings"
	"testing"
)

func TestParseSeed_Normalises(t *testing.T) {
	for in, want := range map[string]Seed{
		"test.com":                        "test.com",
		"Test.COM":                        "test.com",
		"test.com.":                       "test.com",
		"www.test.co.uk":                  "www.test.co.uk",
		"bücher.de":                       "xn--bcher-kva.de",
		"XN--BCHER-KVA.de":                "xn--bcher-kva.de",
		"例え。テスト":                          "xn--r8jz45g.xn--zckzah",
		"github.io":                       "github.io",
		"a-b.1x.com":                      "a-b.1x.com",
		"9gag.com":                        "9gag.com",
		"r3---sn.a.com":                   "r3---sn.a.com",
		strings.Repeat("a.", 125) + "com": Seed(strings.Repeat("a.", 125) + "com"),
	} {
		got, err := ParseSeed(in)
		if err != nil || got != want {
			t.Errorf("ParseSeed(%q) = %q, %v; want %q", in, got, err, want)
		}
		if again, err := ParseSeed(string(got)); err != nil || again != got {
			t.Errorf("ParseSeed(%q) again = %q, %v", got, again, err)
		}
	}
}

func TestParseSeed_SaysWhatIsWrong(t *testing.T) {
	for in, found := range map[string]string{
		"":                                 "is empty",
		"localhost":                        "is a single label",
		"com.":                             "is a single label",
		"127.0.0.1":                        "is an IP address",
		"127.0.0.1.":                       "is an IP address",
		"0x7f.0.0.1":                       "is an IP address",
		"2130706433":                       "is an IP address",
		"0x7f000001":                       "is an IP address",
		"1.2":                              "is an IP address",
		"１２７.0.0.1":                        "is an IP address",
		"::1":                              "is an IP address",
		"[::1]":                            "is an IP address",
		"[::1]:80":                         "is an IP address",
		"[2001:db8::1":                     "is an IP address",
		"fe80::1%eth0":                     "is an IP address",
		"test.com ":                        "contains a space",
		"te st.com":                        "contains a space",
		"te\u00a0st.com":                   "contains a space",
		"test.com\n":                       "contains a space",
		"test\x00.com":                     "contains a control character",
		"test\x7f.com":                     "contains a control character",
		"te\xffst.com":                     "is not valid UTF-8",
		"http://test.com":                  "is a URL",
		"test.com/":                        "has a path",
		"test.com?q":                       "has a path",
		`test.com\x`:                       "has a path",
		"me@test.com":                      "has a user name",
		"test.com:80":                      "has a port",
		"a:b":                              "has a port",
		"{test.com}":                       "contains a brace",
		"te%73t.com":                       "has a percent sign",
		"my_blog.test.com":                 "has an underscore",
		"-a.com":                           "has a label that starts or ends with a hyphen",
		"a-.com":                           "has a label that starts or ends with a hyphen",
		"a..com":                           "is not a valid host name",
		".a.com":                           "is not a valid host name",
		"a.com..":                          "is not a valid host name",
		"a!.com":                           "is not a valid host name",
		"xn--a.com":                        "is not a valid host name",
		"a：80.com":                         "is not a valid host name",
		strings.Repeat("a", 64) + ".com":   "is not a valid host name",
		strings.Repeat("a.", 126) + "abcd": "is not a valid host name",
	} {
		got, err := ParseSeed(in)
		var se *SeedError
		if !errors.As(err, &se) {
			t.Errorf("ParseSeed(%q) = %q, %v; want a *SeedError", in, got, err)
			continue
		}
		if se.Found != found || se.Input != in || !strings.Contains(err.Error(), se.Want) || se.Want == "" {
			t.Errorf("ParseSeed(%q): %v; want found %q", in, err, found)
		}
	}
}

func TestSeed_ContainsItselfAndSubdomainsOnly(t *testing.T) {
	const s = Seed("test.com")
	for host, want := range map[string]bool{
		"test.com":         true,
		"www.test.com":     true,
		"a.b_c.test.com":   true,
		"nottest.com":      false,
		"test.com.evil.io": false,
		"com":              false,
		"":                 false,
		"st.com":           false,
	} {
		if got := s.Contains(host); got != want {
			t.Errorf("Contains(%q) = %v", host, got)
		}
	}
	if Seed("").Contains("test.com") {
		t.Error("the empty seed contains nothing")
	}
	if !s.ContainsURL("https://www.test.com:8443/?http://evil.io/") || s.ContainsURL("https://evil.io/test.com") {
		t.Error("ContainsURL must look at the host alone")
	}
	if got := s.Root("https"); got != "https://test.com/" {
		t.Errorf("Root = %q", got)
	}
}

func FuzzParseSeed_IsSafeInKeys(f *testing.F) {
	for _, s := range []string{"test.com", "bücher.de", "127.1", "{a}.com", "a b", "xn--bcher-kva.de"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseSeed(in)
		if err != nil {
			return
		}
		if again, err := ParseSeed(string(s)); err != nil || again != s {
			t.Fatalf("%q became %q, and that became %q, %v", in, s, again, err)
		}
		if strings.Trim(string(s), "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(s) > maxHost {
			t.Fatalf("%q became %q", in, s)
		}
		if u, err := Normalize(s.Root("http")); err != nil || !s.ContainsURL(u) {
			t.Fatalf("%q: its root %q is not a page of it: %v", s, u, err)
		}
	})
}
