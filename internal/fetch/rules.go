package fetch

import (
	"bytes"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rules is what one robots.txt says to one crawler, read by RFC 9309. The zero
// Rules allow everything.
//
// The reader is our own because github.com/temoto/robotstxt 1.1.2 gets common
// files wrong, to the host's harm or ours: it does not anchor patterns (with
// "Allow: /$" and "Disallow: /" it goes to every directory of a closed site),
// decides ties against "Allow", knows no percent-encoding, and gives up on the
// whole file when one line makes no sense.
type Rules struct {
	CrawlDelay time.Duration // at most maxCrawlDelay
	Sitemaps   []string      // as written
	rules      []rule
}

// maxCrawlDelay is the longest Crawl-delay that is taken at its word.
const maxCrawlDelay = time.Minute

type rule struct {
	allow  bool
	length int      // of the pattern; the longest that matches decides
	parts  []string // the pattern between its asterisks
	whole  bool     // the pattern ends with $: it has to match to the end
}

// Allowed reports whether a page, given by its normalised URL, may be fetched.
func (r *Rules) Allowed(url string) bool {
	if len(r.rules) == 0 {
		return true
	}
	path := literalMeta.Replace(pathOf(url))
	allowed, longest := true, -1
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.length < longest || rule.length == longest && !rule.allow || !rule.matches(path) {
			continue
		}
		allowed, longest = rule.allow, rule.length
	}
	return allowed || path == "/robots.txt"
}

// literalMeta escapes what stands for itself in a URL and for more in a
// pattern.
var literalMeta = strings.NewReplacer("*", "%2A", "$", "%24")

// pathOf returns the path and query of a normalised URL.
func pathOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// matches takes each part at its first place; where any place will do, the
// first leaves most room for the parts after it. So its time is linear.
func (r *rule) matches(path string) bool {
	first, rest := r.parts[0], r.parts[1:]
	if !strings.HasPrefix(path, first) {
		return false
	}
	path = path[len(first):]
	for i, part := range rest {
		if r.whole && i == len(rest)-1 {
			return strings.HasSuffix(path, part)
		}
		at := strings.Index(path, part)
		if at < 0 {
			return false
		}
		path = path[at+len(part):]
	}
	return !r.whole || path == ""
}

// newRule reads a pattern. Patterns that do not begin with a slash or an
// asterisk can match nothing by the letter; they are read as if they did.
func newRule(pattern string, allow bool) rule {
	if pattern[0] != '/' && pattern[0] != '*' {
		pattern = "/" + pattern
	}
	pattern = normalPattern(pattern)
	r := rule{allow: allow, length: len(pattern)}
	pattern, r.whole = strings.CutSuffix(pattern, "$")
	pattern = strings.ReplaceAll(pattern, "$", "%24")
	r.parts = strings.Split(pattern, "*")
	return r
}

// normalPattern brings the escapes of a pattern into the form that normalised
// URLs have: unreserved characters bare, all others in upper case.
func normalPattern(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				if isUnreserved(byte(n)) {
					b.WriteByte(byte(n))
				} else {
					writeEscape(&b, byte(n))
				}
				i += 2
				continue
			}
		}
		if c <= ' ' || c >= 0x7f {
			writeEscape(&b, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func writeEscape(b *strings.Builder, c byte) {
	const hex = "0123456789ABCDEF"
	b.Write([]byte{'%', hex[c>>4], hex[c&15]})
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-._~", c) >= 0
}

// group is what consecutive User-agent lines have in common.
type group struct {
	rules []rule
	delay time.Duration
}

// parseRules reads a robots.txt for the crawler with the product token agent.
// All groups that name the agent count as one; when there is none, those for
// "*" do. Lines that make no sense are passed over.
func parseRules(text []byte, agent string) *Rules {
	var own, others group
	var named bool // the file has a group for agent
	var sitemaps []string
	forOwn, forOthers := false, false
	inAgents := false // the line before was a User-agent line

	for key, value := range robotsLines(text) {
		switch key {
		case "user-agent", "useragent":
			if !inAgents {
				forOwn, forOthers = false, false
			}
			inAgents = true
			switch token := productToken(value); {
			case token == "" && strings.HasPrefix(value, "*"):
				forOthers = true
			case token != "" && strings.EqualFold(token, agent):
				forOwn, named = true, true
			}
		case "allow", "disallow", "crawl-delay", "crawldelay":
			inAgents = false
			if forOwn {
				own.add(key, value)
			}
			if forOthers {
				others.add(key, value)
			}
		case "sitemap":
			if value != "" {
				sitemaps = append(sitemaps, value)
			}
		}
	}
	chosen := others
	if named {
		chosen = own
	}
	return &Rules{CrawlDelay: chosen.delay, Sitemaps: sitemaps, rules: chosen.rules}
}

func (g *group) add(key, value string) {
	switch key {
	case "allow", "disallow":
		if value != "" {
			g.rules = append(g.rules, newRule(value, key == "allow"))
		}
	default:
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(seconds) || seconds < 0 {
			return
		}
		delay := time.Duration(min(seconds, maxCrawlDelay.Seconds()) * float64(time.Second))
		g.delay = max(g.delay, delay)
	}
}

// robotsLines yields the lines that have the form "key: value", the key in
// lower case, comments and surrounding space removed.
func robotsLines(text []byte) iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		text = bytes.TrimPrefix(text, utf8BOM)
		for len(text) > 0 {
			end := bytes.IndexAny(text, "\r\n")
			line := text
			if end < 0 {
				text = nil
			} else {
				line, text = text[:end], text[end+1:]
			}
			line, _, _ = bytes.Cut(line, []byte{'#'})
			key, value, ok := bytes.Cut(line, []byte{':'})
			if !ok {
				continue
			}
			k := strings.ToLower(string(bytes.TrimSpace(key)))
			if !yield(k, string(bytes.TrimSpace(value))) {
				return
			}
		}
	}
}

// productToken returns the part of a user agent that robots.txt knows a crawler
// by: "limpet" of "Limpet/1.0 (+https://example.org)", in the case it has (RFC
// 9309 section 2.2.1).
func productToken(agent string) string {
	for i := range len(agent) {
		c := agent[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_') {
			return agent[:i]
		}
	}
	return agent
}
