package cli

import (
	"net/url"
	"strings"
)

// setURI reads redis://[[user:]password@]host[:port][/db], or rediss:// for TLS.
// Unlike in a URL, what stands alone before the @ is the password.
func (o *options) setURI(v string) error {
	rest, plain := cutScheme(v, "redis://")
	if !plain {
		var secure bool
		if rest, secure = cutScheme(v, "rediss://"); !secure {
			return errScheme
		}
		o.tls.on = true
	}
	if info, after, ok := strings.Cut(rest, "@"); ok {
		rest = after
		user, password, both := strings.Cut(info, ":")
		if !both {
			user, password = "", info
		}
		o.user, o.auth, o.hasAuth = decoded(user), decoded(password), true
	}
	host, db, _ := strings.Cut(rest, "/")
	if db != "" {
		if err := number(&o.db, db); err != nil {
			return err
		}
	}
	if after, ok := strings.CutPrefix(host, "["); ok { // an IPv6 address
		inside, port, _ := strings.Cut(after, "]")
		o.host = inside
		return o.setURIPort(strings.TrimPrefix(port, ":"))
	}
	name, port, _ := strings.Cut(host, ":")
	if name != "" {
		o.host = decoded(name)
	}
	return o.setURIPort(port)
}

func (o *options) setURIPort(port string) error {
	if port == "" {
		return nil
	}
	return o.setPort(port)
}

func cutScheme(v, scheme string) (rest string, ok bool) {
	if len(v) < len(scheme) || !strings.EqualFold(v[:len(scheme)], scheme) {
		return "", false
	}
	return v[len(scheme):], true
}

func decoded(s string) string {
	if text, err := url.PathUnescape(s); err == nil {
		return text
	}
	return s
}
