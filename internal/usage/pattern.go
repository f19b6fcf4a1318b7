package usage

import (
	"regexp"
	"strings"
)

// Shape says how keys are turned into patterns. The zero value is the default.
type Shape struct {
	Separator string // between the parts of a key; "" is ":"
	Depth     int    // parts that are told apart, the rest is one `*`; 0 is all
}

var (
	uuidLike   = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	domainLike = regexp.MustCompile(`^([a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9])?\.)+([a-zA-Z]{2,}|xn--[a-zA-Z0-9-]+)$`)
	addrLike   = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){3}$`)
	mailLike   = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}$`)
	// numbered is a word with a number behind it, as in page-12, user_7 or item42.
	numbered = regexp.MustCompile(`^(.*[^0-9.])[0-9]{2,}$|^(.*[-_.#/])[0-9]+$`)
)

// Pattern is a key with its ids taken out: parts that are numbers, hexadecimal of
// eight digits and more, UUIDs, domains, addresses, or in braces (what a Cluster
// hashes) become `*`, and so do numbers at the end of a part.
//
//	fcrawler:seed:example.com:total   fcrawler:seed:*:total
//	session:9f86d081884c7d65          session:*
//	cart:{user-12}:items              cart:{*}:items
//	page-7                            page-*
//	item42                            item*   (item7, too, where there is an item42)
func (s Shape) Pattern(key string) string {
	separator := s.separator()
	const longest = 1000 // bytes of a key that are looked at
	if len(key) > longest {
		key = key[:longest] + "…"
	}
	parts := strings.Split(key, separator)
	for i, part := range parts {
		if s.Depth > 0 && i == s.Depth {
			parts[i] = "*"
			parts = parts[:i+1]
			break
		}
		parts[i] = collapse(part)
	}
	return strings.Join(parts, separator)
}

// digit is a word with one digit behind it, as in k7, or v1.
var digit = regexp.MustCompile(`([^0-9*])[0-9]$`)

// loosen makes `*` of single digits at the end of parts, too. Whether k7 is the
// seventh of many, or v1 a name, only the other keys tell: see Memory.Close.
func (s Shape) loosen(pattern string) string {
	parts := strings.Split(pattern, s.separator())
	for i, part := range parts {
		parts[i] = digit.ReplaceAllString(part, "$1*")
	}
	return strings.Join(parts, s.separator())
}

func (s Shape) separator() string {
	if s.Separator == "" {
		return ":"
	}
	return s.Separator
}

// collapse turns a part into a pattern. Most parts are plain words, so that the
// costly questions are asked only of those that might be something else.
func collapse(part string) string {
	const uuidLength = 36
	switch {
	case !strings.ContainsAny(part, "0123456789.@{"):
		return part
	case len(part) > 2 && part[0] == '{' && part[len(part)-1] == '}':
		return "{*}"
	case isNumber(part), isHex(part),
		len(part) == uuidLength && uuidLike.MatchString(part),
		strings.Contains(part, "@") && mailLike.MatchString(part),
		strings.Contains(part, ".") && (domainLike.MatchString(part) || addrLike.MatchString(part)):
		return "*"
	case part[len(part)-1] < '0' || part[len(part)-1] > '9':
		return part
	}
	if m := numbered.FindStringSubmatch(part); m != nil {
		return m[1] + m[2] + "*"
	}
	return part
}

func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	return s != "" && strings.Trim(s, "0123456789.") == "" && strings.Count(s, ".") <= 1 && s != "."
}

// isHex wants a digit, since there are words of the letters a to f.
func isHex(s string) bool {
	return len(s) >= 8 && strings.Trim(s, "0123456789abcdefABCDEF") == "" && strings.ContainsAny(s, "0123456789")
}
