package feature

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

func describeHTTP(in *Input) HTTP {
	h := HTTP{
		Status:          in.Status,
		HopCount:        len(in.Hops),
		Protocol:        in.Protocol,
		Type:            clip(in.ContentType),
		Charset:         clip(in.Charset),
		Size:            len(in.Body),
		RawSize:         in.RawSize,
		Truncated:       in.Truncated,
		HeaderCount:     len(in.Header),
		Encoding:        header(in, "Content-Encoding"),
		Server:          header(in, "Server"),
		PoweredBy:       header(in, "X-Powered-By"),
		Via:             header(in, "Via"),
		CacheControl:    header(in, "Cache-Control"),
		LastModified:    header(in, "Last-Modified"),
		ETag:            header(in, "Etag"),
		ContentLanguage: header(in, "Content-Language"),
		RobotsTag:       header(in, "X-Robots-Tag"),
		Security: Security{
			HSTS:               header(in, "Strict-Transport-Security"),
			CSP:                header(in, "Content-Security-Policy"),
			CSPReportOnly:      header(in, "Content-Security-Policy-Report-Only"),
			FrameOptions:       header(in, "X-Frame-Options"),
			ContentTypeOptions: header(in, "X-Content-Type-Options"),
			ReferrerPolicy:     header(in, "Referrer-Policy"),
			PermissionsPolicy:  header(in, "Permissions-Policy"),
			COOP:               header(in, "Cross-Origin-Opener-Policy"),
			COEP:               header(in, "Cross-Origin-Embedder-Policy"),
			CORP:               header(in, "Cross-Origin-Resource-Policy"),
			CORS:               header(in, "Access-Control-Allow-Origin"),
		},
		Cookies: describeCookies(in.Header["Set-Cookie"]),
		Timings: Millis{
			DNS:     millis(in.Timings.DNS),
			Connect: millis(in.Timings.Connect),
			TLS:     millis(in.Timings.TLS),
			TTFB:    millis(in.Timings.TTFB),
			Total:   millis(in.Timings.Total),
		},
	}
	if in.RemoteIP.IsValid() {
		h.RemoteIP = in.RemoteIP.Unmap().WithZone("").String()
	}
	if final := in.final(); final != in.URL {
		h.Final = final
	}
	for _, hop := range in.Hops[:min(len(in.Hops), MaxHops)] {
		h.Hops = append(h.Hops, HopRec{
			URL:      withoutUserinfo(hop.URL),
			Status:   hop.Status,
			Location: clipTo(withoutUserinfo(hop.Location), maxLocation),
		})
	}
	return h
}

// maxLocation bounds a Location header, in bytes. It is more than MaxText,
// because a redirect's target is worth having whole.
const maxLocation = 2048

// header returns all values of a header, by its canonical name, as one.
func header(in *Input, name string) string {
	values := in.Header[name]
	if len(values) == 1 {
		return clip(values[0])
	}
	return clip(strings.Join(values, ", "))
}

func describeCookies(lines []string) Cookies {
	var c Cookies
	for _, line := range lines {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			continue // a browser would not set it either
		}
		c.Count++
		if len(c.Names) < MaxCookies {
			c.Names = append(c.Names, clip(cookie.Name))
		}
		if cookie.Secure {
			c.Secure++
		}
		if cookie.HttpOnly {
			c.HTTPOnly++
		}
		if cookie.MaxAge > 0 || cookie.MaxAge == 0 && !cookie.Expires.IsZero() {
			c.Persistent++
		}
		switch cookie.SameSite {
		case http.SameSiteLaxMode:
			c.Lax++
		case http.SameSiteStrictMode:
			c.Strict++
		case http.SameSiteNoneMode:
			c.None++
		}
	}
	return c
}

// withoutUserinfo cuts a user name and password out of a URL reference, so
// that no secret is stored.
func withoutUserinfo(ref string) string {
	slashes := strings.Index(ref, "//")
	if slashes < 0 {
		return ref
	}
	authority := ref[slashes+2:]
	if end := strings.IndexAny(authority, `/\?#`); end >= 0 {
		authority = authority[:end]
	}
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return ref
	}
	return ref[:slashes+2] + ref[slashes+2+at+1:]
}

func millis(d time.Duration) float64 {
	return round3(float64(d) / float64(time.Millisecond))
}

func clip(s string) string { return clipTo(s, MaxText) }

// clipTo returns at most n bytes of s, as valid UTF-8 and cut between
// characters.
func clipTo(s string, n int) string {
	if len(s) > n+utf8.UTFMax {
		s = s[:n+utf8.UTFMax] // a character that this cuts lies beyond n
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return s
}
