package weburl

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ ref, want string }{
		// The rows of the table in the package comment.
		{"HTTP://Example.COM/", "http://example.com/"},
		{"http://bücher.de./", "http://xn--bcher-kva.de/"},
		{"http://0x7f.1/", "http://127.0.0.1/"},
		{"http://a.com:80/", "http://a.com/"},
		{"http://a.com?q", "http://a.com/?q"},
		{"http://a.com/b/../c", "http://a.com/c"},
		{"http://a.com/%7Euser", "http://a.com/~user"},
		{"http://a.com/%c3%a9", "http://a.com/%C3%A9"},
		{"http://a.com/a b|c%", "http://a.com/a%20b%7Cc%25"},
		{"http://a.com/a#b", "http://a.com/a"},
		{"http://a.com/?b=1&a=2", "http://a.com/?b=1&a=2"},
		{"http://a.com/a?", "http://a.com/a"},

		// Hosts.
		{"http://a.com", "http://a.com/"},
		{"http://A.com./x", "http://a.com/x"},
		{"http://ex%41mple.com/", "http://example.com/"},
		{"http://foo_bar.a.com/", "http://foo_bar.a.com/"},
		{"http://r3---sn-x.a.com/", "http://r3---sn-x.a.com/"},
		{"http://-a-.a.com/", "http://-a-.a.com/"},
		{"http://XN--BCHER-KVA.de/", "http://xn--bcher-kva.de/"},
		{"http://faß.de/", "http://xn--fa-hia.de/"},
		{"http://a。com/", "http://a.com/"},
		{"http://１２７.0.0.1/", "http://127.0.0.1/"},
		{"http://2130706433/", "http://127.0.0.1/"},
		{"http://0177.0.0.1/", "http://127.0.0.1/"},
		{"http://0x/", "http://0.0.0.0/"},
		{"http://[2001:DB8:0::1]:8080/", "http://[2001:db8::1]:8080/"},
		{"http://localhost/", "http://localhost/"},

		// Ports.
		{"https://a.com:443/", "https://a.com/"},
		{"http://a.com:443/", "http://a.com:443/"},
		{"http://a.com:/", "http://a.com/"},
		{"http://a.com:0080/", "http://a.com/"},
		{"http://a.com:65535/", "http://a.com:65535/"},

		// Paths and queries.
		{"http://a.com//b//c", "http://a.com//b//c"},
		{"http://a.com/b/..//c", "http://a.com//c"},
		{"http://a.com/%2e%2E/b/%2e", "http://a.com/b/"},
		{"http://a.com/..", "http://a.com/"},
		{"http://a.com/...", "http://a.com/..."},
		{"http://a.com/.a/b.", "http://a.com/.a/b."},
		{"http://a.com/a%2Fb", "http://a.com/a%2Fb"},
		{"http://a.com/%zz%4", "http://a.com/%25zz%254"},
		{"http://a.com/%%41", "http://a.com/%25A"},
		{"http://a.com/é", "http://a.com/%C3%A9"},
		{"http://a.com/\xff", "http://a.com/%FF"},
		{"http://a.com/?a[]=1&é='%7e", "http://a.com/?a%5B%5D=1&%C3%A9='~"},
		{"http://a.com/?/../?", "http://a.com/?/../?"},
		{"http://a.com??", "http://a.com/??"},
		{"http://a.com/;p=1,2!$&'()*+:@", "http://a.com/;p=1,2!$&'()*+:@"},

		// As browsers read what the RFC has no word for.
		{" \x00http://a.com/b \n", "http://a.com/b"},
		{"ht\ntp://a.\tcom/b\r\nc", "http://a.com/bc"},
		{`http:\\a.com\b\..\c?\`, "http://a.com/c?%5C"},
	} {
		got, err := Normalize(c.ref)
		if err != nil || got != c.want {
			t.Errorf("Normalize(%q) = %q, %v; want %q", c.ref, got, err, c.want)
		}
	}
}

func TestNormalize_RefusesWhatIsNoPage(t *testing.T) {
	long := "http://a.com/" + strings.Repeat("a", MaxLen-len("http://a.com/"))
	if got, err := Normalize(long); err != nil || len(got) != MaxLen {
		t.Errorf("a URL of MaxLen bytes: %v", err)
	}
	for _, c := range []struct {
		ref  string
		want error
	}{
		{"", ErrScheme},
		{"a.com", ErrScheme},
		{"/a", ErrScheme},
		{"//a.com/", ErrScheme},
		{"mailto:a@b.com", ErrScheme},
		{"java\nscript:alert(1)", ErrScheme},
		{"ftp://a.com/", ErrScheme},
		{"1http://a.com/", ErrScheme},
		{"http:a", ErrHost},
		{"http:///a", ErrHost},
		{"http://.", ErrHost},
		{"http://a..com/", ErrHost},
		{"http://.a.com/", ErrHost},
		{"http://a b.com/", ErrHost},
		{"http://a%00.com/", ErrHost},
		{"http://a%zz.com/", ErrHost},
		{"http://a%2541.com/", ErrHost},
		{"http://\xff.com/", ErrHost},
		{"http://xn--a.com/", ErrHost},
		{"http://a／b.com/", ErrHost},
		{"http://1.2.3.4.5/", ErrHost},
		{"http://256.0.0.1/", ErrHost},
		{"http://a.1/", ErrHost},
		{"http://4294967296/", ErrHost},
		{"http://[::1/", ErrHost},
		{"http://[fe80::1%25eth0]/", ErrHost},
		{"http://[1.2.3.4]/", ErrHost},
		{"http://" + strings.Repeat("a", 64) + ".com/", ErrHost},
		{"http://" + strings.Repeat("a.", 127) + "com/", ErrHost},
		{"http://user@a.com/", ErrUserinfo},
		{"http://user:secret@a.com/", ErrUserinfo},
		{"http://@a.com/", ErrUserinfo},
		{"http://a.com:x/", ErrPort},
		{"http://a.com:0/", ErrPort},
		{"http://a.com:+80/", ErrPort},
		{"http://a.com:65536/", ErrPort},
		{"http://a.com:99999999999999999999/", ErrPort},
		{long + "a", ErrTooLong},
		{"http://a.com/?" + strings.Repeat("é", MaxLen/6), ErrTooLong},
		{"data:" + strings.Repeat("a", maxRef), ErrTooLong},
	} {
		if got, err := Normalize(c.ref); !errors.Is(err, c.want) || got != "" {
			t.Errorf("Normalize(%.60q) = %.60q, %v; want %v", c.ref, got, err, c.want)
		}
	}
}

// The examples of RFC 3986 section 5.4, with fragments dropped, a scheme that
// this package knows, and no scheme of the reference's own.
func TestResolve_ExamplesOfTheRFC(t *testing.T) {
	r, err := NewResolver("http://a/b/c/d;p?q")
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		// 5.4.1, normal
		"g": "http://a/b/c/g", "./g": "http://a/b/c/g", "g/": "http://a/b/c/g/",
		"/g": "http://a/g", "//g": "http://g/", "?y": "http://a/b/c/d;p?y",
		"g?y": "http://a/b/c/g?y", "#s": "http://a/b/c/d;p?q", "g#s": "http://a/b/c/g",
		"g?y#s": "http://a/b/c/g?y", ";x": "http://a/b/c/;x", "g;x": "http://a/b/c/g;x",
		"g;x?y#s": "http://a/b/c/g;x?y", "": "http://a/b/c/d;p?q", ".": "http://a/b/c/",
		"./": "http://a/b/c/", "..": "http://a/b/", "../": "http://a/b/",
		"../g": "http://a/b/g", "../..": "http://a/", "../../": "http://a/",
		"../../g": "http://a/g",
		// 5.4.2, abnormal
		"../../../g": "http://a/g", "../../../../g": "http://a/g", "/./g": "http://a/g",
		"/../g": "http://a/g", "g.": "http://a/b/c/g.", ".g": "http://a/b/c/.g",
		"g..": "http://a/b/c/g..", "..g": "http://a/b/c/..g", "./../g": "http://a/b/g",
		"./g/.": "http://a/b/c/g/", "g/./h": "http://a/b/c/g/h", "g/../h": "http://a/b/c/h",
		"g;x=1/./y": "http://a/b/c/g;x=1/y", "g;x=1/../y": "http://a/b/c/y",
		"g?y/./x": "http://a/b/c/g?y/./x", "g?y/../x": "http://a/b/c/g?y/../x",
		"g#s/./x": "http://a/b/c/g", "g#s/../x": "http://a/b/c/g",
		// "http:g" as browsers have it, which the RFC allows for
		"http:g": "http://a/b/c/g", "http:": "http://a/b/c/d;p?q",
	} {
		if got, err := r.Resolve(ref); err != nil || got != want {
			t.Errorf("Resolve(%q) = %q, %v; want %q", ref, got, err, want)
		}
	}
}

func TestResolve_More(t *testing.T) {
	for _, c := range []struct{ base, ref, want string }{
		{"https://a.com/x/y?q#f", "//b.com", "https://b.com/"},
		{"https://a.com/x/y?q#f", "//b.com:443/z", "https://b.com/z"},
		{"https://a.com/x/y?q#f", `\\b.com\z`, "https://b.com/z"},
		{"https://a.com/x/y?q#f", `\z`, "https://a.com/z"},
		{"https://a.com/x/y?q#f", "?", "https://a.com/x/y"},
		{"https://a.com/x/y?q#f", "z ", "https://a.com/x/z"},
		{"https://a.com/x/y?q#f", "a/b:c", "https://a.com/x/a/b:c"},
		{"https://a.com/x/y?q#f", "é:c", "https://a.com/x/%C3%A9:c"},
		{"https://a.com/x/y?q#f", ":80", "https://a.com/x/:80"},
		{"https://a.com", "a", "https://a.com/a"},
		{"https://a.com?x/y", "a", "https://a.com/a"},
		{"https://a.com:8443/x/", "/a", "https://a.com:8443/a"},
		{"https://a.com/x//", "a", "https://a.com/x//a"},
		{"https://a.com/x//", "..", "https://a.com/x/"},
	} {
		r, err := NewResolver(c.base)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Resolve(c.ref); err != nil || got != c.want {
			t.Errorf("on %s: Resolve(%q) = %q, %v; want %q", c.base, c.ref, got, err, c.want)
		}
	}
	r, _ := NewResolver("https://a.com/")
	if _, err := r.Resolve("http:g"); !errors.Is(err, ErrHost) {
		t.Errorf("a relative reference under another scheme: %v; want %v", err, ErrHost)
	}
}

func TestWithBase_IsRelativeToThePage(t *testing.T) {
	r, _ := NewResolver("https://a.com/x/y")
	for base, want := range map[string]string{
		"../z/":            "https://a.com/z/link",
		"https://b.com/c/": "https://b.com/c/link",
		"?q":               "https://a.com/x/link",
	} {
		b, err := r.WithBase(base)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := b.Resolve("link"); got != want {
			t.Errorf("base %q: %q; want %q", base, got, want)
		}
	}
	b, err := r.WithBase("data:,x")
	if got, _ := b.Resolve("link"); err == nil || got != "https://a.com/x/link" {
		t.Errorf("a refused base must leave the page's own: %q, %v", got, err)
	}
}

func TestAppend_LeavesTheBufferOnError(t *testing.T) {
	r, _ := NewResolver("https://a.com/x/y")
	buf := []byte("kept ")
	for _, ref := range []string{"http://u@b.com/", "http://b..com", strings.Repeat("a", MaxLen), strings.Repeat("./a", MaxLen/2)} {
		got, err := r.Append(buf, ref)
		if err == nil || string(got) != "kept " {
			t.Errorf("%.30q: %q, %v", ref, got, err)
		}
	}
	got, err := r.Append(buf, "z")
	if err != nil || string(got) != "kept https://a.com/x/z" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAppend_DoesNotAllocate(t *testing.T) {
	r, _ := NewResolver("https://a.com/x/y")
	buf := make([]byte, 0, 256)
	for _, ref := range []string{"z.html#f", "/z", "../z?q=1", "https://b.com/c?d", "#f", "a%20b"} {
		if n := testing.AllocsPerRun(100, func() { buf, _ = r.Append(buf[:0], ref) }); n != 0 {
			t.Errorf("%q: %v allocations", ref, n)
		}
	}
}

// checkNormal fails when s is not what the package comment promises of every
// normalised URL.
func checkNormal(t interface{ Fatalf(string, ...any) }, ref, s string) {
	again, err := Normalize(s)
	if err != nil || again != s {
		t.Fatalf("%q became %q, and that became %q, %v", ref, s, again, err)
	}
	if len(s) > MaxLen {
		t.Fatalf("%q: %d bytes", ref, len(s))
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			t.Fatalf("%q became %q with a byte that is not printable", ref, s)
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		t.Fatalf("%q became %q, which net/url refuses: %v", ref, s, err)
	}
	p := Split(s)
	if p.Scheme != u.Scheme || p.Host != u.Hostname() || p.Port != u.Port() ||
		p.Path != u.EscapedPath() || p.Query != u.RawQuery || u.User != nil || u.Fragment != "" {
		t.Fatalf("%q: Split gives %+v, net/url %+v", s, p, u)
	}
	if len(ID(s)) != IDLen {
		t.Fatalf("%q: ID %q", s, ID(s))
	}
}

func TestResolve_IsIdempotent(t *testing.T) {
	piece := rapid.SampledFrom([]string{
		"http:", "HTTPS:", "//", "/", "\\", ".", "..", "%2e", "%2F", "%", "%4", "1", "é", "ß", "。",
		"a", "B", "xn--", "-", "_", ":", "80", "443", "?", "#", "@", "[", "]", "::1", "0x", " ", "\t", "\x00", "\xff",
		"a.com", "&", "=", ";", "|", "'",
	})
	rapid.Check(t, func(t *rapid.T) {
		ref := strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), "")
		if rapid.Bool().Draw(t, "absolute") {
			ref = "http://" + ref
		}
		r, _ := NewResolver("http://b.com/c/d?e")
		if s, err := r.Resolve(ref); err == nil {
			checkNormal(t, ref, s)
		}
	})
}

func FuzzNormalize_Idempotent(f *testing.F) {
	for _, s := range []string{"http://a.com/", "https://BÜCHER.de:443/%7e/../x?y#z", "http://[::1]:80", "http://0x7f.1", `http:\\a\b`, "http://xn--bcher-kva.de."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if s, err := Normalize(ref); err == nil {
			checkNormal(t, ref, s)
		}
	})
}

func FuzzResolve_Idempotent(f *testing.F) {
	f.Add("http://a.com/b/c?d", "../e?f#g")
	f.Add("https://a.com", "//b.com")
	f.Fuzz(func(t *testing.T, base, ref string) {
		r, err := NewResolver(base)
		if err != nil {
			return
		}
		if s, err := r.Resolve(ref); err == nil {
			checkNormal(t, ref, s)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r, _ := NewResolver("https://example.com/library/os.html")
	buf := make([]byte, 0, 256)
	for _, ref := range []string{"functions.html#open", "/a/b/c.html", "../glossary.html", "https://www.python.org/dev/", "?page=2&sort=up"} {
		b.Run(ref, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf, _ = r.Append(buf[:0], ref)
			}
		})
	}
}

func BenchmarkID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ID("https://example.com/library/functions.html")
	}
}

func ExampleResolver() {
	page, err := NewResolver("https://Example.com/docs/intro.html")
	if err != nil {
		fmt.Println(err)
		return
	}
	next, err := page.Resolve("../faq?q=1#top")
	fmt.Println(next, err)
	// Output: https://example.com/faq?q=1 <nil>
}
