package feature

import (
	"math"
	"strconv"
	"strings"

	"limpet/internal/weburl"
)

// maxExtension is the longest end of a file name, in bytes, that is taken for
// a kind of file rather than a part of its name.
const maxExtension = 8

func describeURL(href string) URL {
	p := weburl.Split(href)
	u := URL{
		Href:        href,
		Scheme:      p.Scheme,
		Host:        p.Host,
		Port:        portOf(p),
		Length:      len(href),
		HostLength:  len(p.Host),
		PathLength:  len(p.Path),
		QueryLength: len(p.Query),
		QueryParams: queryParams(p.Query),
		Extension:   extension(p.Path),
		Entropy:     entropy(href),
		HostEntropy: entropy(p.Host),
		IPHost:      weburl.IsIP(p.Host),
		Registrable: weburl.RegistrableDomain(p.Host),
	}
	for segment := range strings.SplitSeq(p.Path, "/") {
		if segment != "" {
			u.PathDepth++
		}
	}
	for label := range strings.SplitSeq(p.Host, ".") {
		u.Punycode = u.Punycode || strings.HasPrefix(label, "xn--")
	}
	if u.Registrable != "" {
		_, u.Suffix, _ = strings.Cut(u.Registrable, ".")
		u.Subdomains = strings.Count(p.Host, ".") - strings.Count(u.Registrable, ".")
	}
	u.countBytes(href)
	return u
}

func (u *URL) countBytes(href string) {
	token := 0
	for i := range len(href) {
		c := href[i]
		switch {
		case '0' <= c && c <= '9':
			u.Digits++
			token++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			token++
		default:
			token = 0
			switch c {
			case '-':
				u.Hyphens++
			case '.':
				u.Dots++
			case '_':
				u.Underscores++
			case '%':
				u.Escapes++
			case ':', '/', '?', '&', '=': // a URL's own punctuation
			default:
				u.Special++
			}
		}
		u.LongestToken = max(u.LongestToken, token)
	}
}

func portOf(p weburl.Parts) int {
	if n, err := strconv.Atoi(p.Port); err == nil {
		return n
	}
	if p.Scheme == "https" {
		return 443
	}
	return 80
}

func queryParams(query string) int {
	n := 0
	for param := range strings.SplitSeq(query, "&") {
		if param != "" {
			n++
		}
	}
	return n
}

func extension(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || dot == len(name)-1 || len(name)-dot-1 > maxExtension {
		return ""
	}
	return strings.ToLower(name[dot+1:])
}

// entropy is Shannon's, over the bytes of s, in bits a byte, to three places.
func entropy(s string) float64 {
	if s == "" {
		return 0
	}
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	bits := 0.0
	for _, n := range counts {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return round3(bits)
}

func round3(x float64) float64 { return math.Round(x*1000) / 1000 }
