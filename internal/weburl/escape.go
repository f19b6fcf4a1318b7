package weburl

// A byte's class says in which parts of a URL it may stand as it is (RFC 3986
// section 3.3 and 3.4), and which bytes need a closer look.
type class uint8

const (
	unreserved class = 1 << iota // letters, digits, - . _ ~: never escaped
	inPath                       // may stand in a path; includes unreserved and /
	inQuery                      // may stand in a query; includes unreserved
	schemeByte                   // may stand in a scheme after its first letter
)

var classes = func() (t [256]class) {
	set := func(chars string, c class) {
		for i := range len(chars) {
			t[chars[i]] |= c
		}
	}
	const (
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		digits  = "0123456789"
	)
	set(letters+digits+"-._~", unreserved|inPath|inQuery)
	set("!$&'()*+,;=:@/", inPath|inQuery)
	set("?", inQuery)
	set(letters+digits+"+-.", schemeByte)
	return t
}()

// appendEscaped appends s, a raw path or query, with every byte that may not
// stand in it escaped and every escape in its normal form.
func appendEscaped(dst []byte, s string, part class) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case classes[c]&part != 0:
			dst = append(dst, c)
		case c == '\\' && part == inPath:
			dst = append(dst, '/')
		case c == '%' && isEscape(s[i:]):
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			if classes[c]&unreserved != 0 {
				dst = append(dst, c)
			} else {
				dst = appendHex(dst, c)
			}
			i += 2
		default:
			dst = appendHex(dst, c)
		}
	}
	return dst
}

func appendHex(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	return append(dst, '%', hex[c>>4], hex[c&15])
}

// isEscape reports whether s, which starts with a percent sign, goes on with
// two hexadecimal digits.
func isEscape(s string) bool {
	return len(s) >= 3 && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// removeDots removes the dot segments of dst[start:], a path that begins with
// a slash, in place (RFC 3986 section 5.2.4).
func removeDots(dst []byte, start int) []byte {
	out := dst[:start]
	for i := start; i < len(dst); {
		end := i + 1
		for end < len(dst) && dst[end] != '/' {
			end++
		}
		segment, last := dst[i+1:end], end == len(dst)
		switch string(segment) {
		case "..":
			for len(out) > start {
				out = out[:len(out)-1]
				if dst[len(out)] == '/' {
					break
				}
			}
			fallthrough
		case ".":
			if last {
				out = append(out, '/')
			}
		default:
			out = append(out, dst[i:end]...)
		}
		i = end
	}
	return out
}
