package fetch

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The first rows are the examples of RFC 9309 and of the page it grew from,
// developers.google.com/search/docs/crawling-indexing/robots/robots_txt.
func TestRules_AllowWhatRFC9309Allows(t *testing.T) {
	for _, c := range []struct {
		name, file, path string
		allowed          bool
	}{
		{"empty file", "", "/a", true},
		{"empty disallow", "User-agent: *\nDisallow:", "/a", true},
		{"everything", "User-agent: *\nDisallow: /", "/a", false},
		{"prefix", "User-agent: *\nDisallow: /fish", "/fish.html", false},
		{"prefix", "User-agent: *\nDisallow: /fish", "/fish/salmon", false},
		{"prefix", "User-agent: *\nDisallow: /fish", "/fish.php?id=1", false},
		{"case of paths counts", "User-agent: *\nDisallow: /fish", "/Fish.asp", true},
		{"prefix is anchored", "User-agent: *\nDisallow: /fish", "/catfish", true},
		{"trailing asterisk", "User-agent: *\nDisallow: /fish*", "/fishheads/yummy.html", false},
		{"directory", "User-agent: *\nDisallow: /fish/", "/fish", true},
		{"directory", "User-agent: *\nDisallow: /fish/", "/fish/?id=1", false},
		{"asterisk", "User-agent: *\nDisallow: /*.php", "/index.php", false},
		{"asterisk", "User-agent: *\nDisallow: /*.php", "/folder/filename.php?parameters", false},
		{"asterisk", "User-agent: *\nDisallow: /*.php", "/windows.PHP", true},
		{"asterisk first", "User-agent: *\nDisallow: *.php", "/a/index.php", false},
		{"end", "User-agent: *\nDisallow: /*.php$", "/filename.php", false},
		{"end", "User-agent: *\nDisallow: /*.php$", "/filename.php?x", true},
		{"end", "User-agent: *\nDisallow: /*.php$", "/filename.php/", true},
		{"end after overlap", "User-agent: *\nDisallow: /a*a$", "/a", true},
		{"asterisk between", "User-agent: *\nDisallow: /fish*.php", "/fishheads/catfish.php?x", false},
		{"asterisk is anchored too", "User-agent: *\nDisallow: /fish*.php", "/x/fish.php", true},
		{"only the front page", "User-agent: *\nAllow: /$\nDisallow: /", "/", true},
		{"only the front page", "User-agent: *\nAllow: /$\nDisallow: /", "/secret/", false},
		{"anchored with end", "User-agent: *\nDisallow: /index.html$", "/docs/index.html", true},
		{"longest wins", "User-agent: *\nAllow: /p\nDisallow: /", "/page", true},
		{"longest wins", "User-agent: *\nDisallow: /page/x\nAllow: /page", "/page/x", false},
		{"order is no matter", "User-agent: *\nAllow: /page\nDisallow: /page/x", "/page/x", false},
		{"a tie allows", "User-agent: *\nDisallow: /folder\nAllow: /folder", "/folder/page", true},
		{"asterisks count in length", "User-agent: *\nAllow: /page\nDisallow: /*.htm", "/page.htm", false},
		{"query", "User-agent: *\nDisallow: /*?", "/a?b=1", false},
		{"query", "User-agent: *\nDisallow: /*?", "/a", true},
		{"escapes are one", "User-agent: *\nDisallow: /foo/bar?baz=http%3a%2f%2f", "/foo/bar?baz=http%3A%2F%2Fx", false},
		{"bytes are escaped", "User-agent: *\nDisallow: /foo/bar/ツ", "/foo/bar/%E3%83%84", false},
		{"needless escapes", "User-agent: *\nDisallow: /foo/%62ar", "/foo/bar", false},
		{"escaped asterisk", "User-agent: *\nDisallow: /file-%2A.html", "/file-*.html", false},
		{"escaped asterisk", "User-agent: *\nDisallow: /file-%2A.html", "/file-x.html", true},
		{"escaped dollar", "User-agent: *\nDisallow: /file-%24", "/file-$", false},
		{"dollar within", "User-agent: *\nDisallow: /a$b", "/a$b", false},
		{"robots.txt itself", "User-agent: *\nDisallow: /", "/robots.txt", true},
		{"no slash", "User-agent: *\nDisallow: private", "/private/a", false},

		{"own group", "User-agent: *\nDisallow: /\nUser-agent: limpet\nDisallow: /x", "/a", true},
		{"own group", "User-agent: *\nDisallow: /\nUser-agent: limpet\nDisallow: /x", "/x", false},
		{"own group, any case", "User-agent: LIMPET/2.0\nDisallow: /x", "/x", false},
		{"another's group", "User-agent: limpetbot\nDisallow: /", "/x", true},
		{"a shorter name", "User-agent: limp\nDisallow: /", "/x", true},
		{"groups are merged", "User-agent: limpet\nDisallow: /a\n\nUser-agent: b\nDisallow: /\n\nUser-agent: limpet\nDisallow: /c", "/c", false},
		{"groups are merged", "User-agent: limpet\nDisallow: /a\n\nUser-agent: b\nDisallow: /\n\nUser-agent: limpet\nDisallow: /c", "/a", false},
		{"shared group", "User-agent: b\nUser-agent: limpet\nDisallow: /a", "/a", false},
		{"empty own group", "User-agent: limpet\n\nUser-agent: *\nDisallow: /a", "/a", false}, // the two are one
		{"own group without rules", "User-agent: limpet\nDisallow:\nUser-agent: *\nDisallow: /", "/a", true},
		{"delay ends the agents", "User-agent: *\nCrawl-delay: 1\nUser-agent: b\nDisallow: /", "/a", true},
		{"sitemap does not", "User-agent: limpet\nSitemap: http://test.com/s\nUser-agent: b\nDisallow: /", "/a", false},

		{"rule before any agent", "Disallow: /a\nUser-agent: *\nDisallow: /b", "/a", true},
		{"rule before any agent", "Disallow: /a\nUser-agent: *\nDisallow: /b", "/b", false},
		{"bad delay", "User-agent: *\nCrawl-delay: soon\nDisallow: /b", "/b", false},
		{"not robots.txt", "<!doctype html><p>404: not found</p>", "/b", true},
		{"comments and blanks", "# hello\nUser-agent : * # all\n\n  Disallow :/b # private", "/b", false},
		{"byte order mark", "\ufeffUser-agent: *\nDisallow: /b", "/b", false},
		{"old line ends", "User-agent: *\rDisallow: /b\r", "/b", false},
		{"DOS line ends", "User-agent: *\r\nDisallow: /b\r\n", "/b", false},
		{"binary", "User-agent: *\x00\xff\nDisallow: /b\xff", "/b%FF", false},
	} {
		got := parseRules([]byte(c.file), "limpet").Allowed("http://test.com" + c.path)
		if got != c.allowed {
			t.Errorf("%s: %q allows %s: %v, want %v", c.name, c.file, c.path, got, c.allowed)
		}
	}
}

func TestRules_CrawlDelay_IsOursAndCapped(t *testing.T) {
	for file, want := range map[string]time.Duration{
		"User-agent: *\nCrawl-delay: 2.5":                                   2500 * time.Millisecond,
		"User-agent: limpet\nCrawl-delay: 1\nUser-agent: *\nCrawl-delay: 9": time.Second,
		"User-agent: b\nCrawl-delay: 9":                                     0,
		"User-agent: *\nCrawl-delay: 86400":                                 maxCrawlDelay,
		"User-agent: *\nCrawl-delay: 1e300":                                 maxCrawlDelay,
		"User-agent: *\nCrawl-delay: Inf":                                   maxCrawlDelay,
		"User-agent: *\nCrawl-delay: NaN":                                   0,
		"User-agent: *\nCrawl-delay: -1":                                    0,
		"User-agent: *\nCrawl-delay: 1\nCrawl-delay: 3":                     3 * time.Second,
	} {
		if got := parseRules([]byte(file), "limpet").CrawlDelay; got != want {
			t.Errorf("%q: %s, want %s", file, got, want)
		}
	}
}

func TestRules_Sitemaps_BelongToNoGroup(t *testing.T) {
	r := parseRules([]byte("Sitemap: https://test.com/a.xml\nUser-agent: b\nDisallow: /\nsitemap:https://test.com/b.xml#1\nSitemap:"), "limpet")
	if want := []string{"https://test.com/a.xml", "https://test.com/b.xml"}; !slices.Equal(r.Sitemaps, want) {
		t.Errorf("got %q, want %q", r.Sitemaps, want)
	}
}

func TestProductToken(t *testing.T) {
	for agent, want := range map[string]string{
		testAgent: "limpet", "My-Bot_x/2": "My-Bot_x", "": "", "1a": "", "bot": "bot", "* x": "",
	} {
		if got := productToken(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
	}
}

// A file made to be slow is no slower than its size: the match is linear in
// the path for each rule.
func TestRules_HostilePatterns_TakeLinearTime(t *testing.T) {
	pattern := "Disallow: /" + strings.Repeat("*a", 1000) + "b\n"
	r := parseRules([]byte("User-agent: *\n"+strings.Repeat(pattern, maxRobots/len(pattern))), "limpet")
	start := time.Now()
	if !r.Allowed("http://test.com/" + strings.Repeat("a", 2000)) {
		t.Error("disallowed")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("took %s", took)
	}
}

func FuzzRules_NeverPanic(f *testing.F) {
	f.Add([]byte("User-agent: *\nDisallow: /*a$\nAllow: %zz%4"), "/a?b")
	f.Fuzz(func(t *testing.T, file []byte, path string) {
		parseRules(file, "limpet").Allowed("http://test.com/" + path)
	})
}
