package weburl

import "testing"

func TestID_IsTheSameOverHTTPAndHTTPS(t *testing.T) {
	a, b := ID("http://test.com/a?b"), ID("https://test.com/a?b")
	// printf '//test.com/a?b' | sha256sum | head -c 32 | xxd -r -p | basenc --base64url
	const want = "Y50tIpv2rya1JdBAc4Jg7w"
	if a != want || b != want {
		t.Errorf("ID = %q and %q; want %q", a, b, want)
	}
	if ID("http://test.com/a?c") == a || ID("http://test.com:8080/a?b") == a {
		t.Error("another query or port is another page")
	}
}

func TestSplit(t *testing.T) {
	for s, want := range map[string]Parts{
		"http://a.com/":               {"http", "a.com", "", "/", ""},
		"https://a.com:81/b/c?d=e?/f": {"https", "a.com", "81", "/b/c", "d=e?/f"},
		"http://[2001:db8::1]/":       {"http", "2001:db8::1", "", "/", ""},
		"http://[::1]:8080/":          {"http", "::1", "8080", "/", ""},
	} {
		if got := Split(s); got != want {
			t.Errorf("Split(%q) = %+v; want %+v", s, got, want)
		}
	}
}

func TestSplit_NeverPanics(t *testing.T) {
	for _, s := range []string{"", "http", "http://", "://", "[", "http://[", "http://]:", "a://:/?"} {
		Split(s)
		ID(s)
	}
}

func TestRegistrableDomain(t *testing.T) {
	for host, want := range map[string]string{
		"a.b.example.co.uk": "example.co.uk",
		"example.com":       "example.com",
		"me.github.io":      "me.github.io",
		"github.io":         "",
		"com":               "",
		"localhost":         "",
		"127.0.0.1":         "",
		"::1":               "",
		"":                  "",
	} {
		if got := RegistrableDomain(host); got != want {
			t.Errorf("RegistrableDomain(%q) = %q; want %q", host, got, want)
		}
	}
}
