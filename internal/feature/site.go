package feature

import (
	"errors"
	"strings"

	"limpet/internal/weburl"
)

// site tells apart what a page's references mean: the site being crawled, the
// page's own domain, and the rest of the world.
type site struct {
	d        *document
	seed     weburl.Seed
	resolver weburl.Resolver
	rebased  bool   // the page stated a base of its own
	domain   string // registrable domain of the answering host, or the host
	scratch  []byte

	known map[string]bool // resolved URLs from "://" on, and whether in scope
	hosts map[string]bool // external hosts seen in links

	links      Links
	discovered Discovered
	final      string // the URL that answered
	icon       string // the first icon that the page declares
	ownIcon    string // where the site's icon is without that
	forms      int    // forms resolved so far
}

func newSite(in *Input, d *document) *site {
	final := in.final()
	host := weburl.Split(final).Host
	s := &site{
		d:      d,
		seed:   in.Seed,
		final:  final,
		domain: host,
		known:  make(map[string]bool, 64),
		hosts:  make(map[string]bool),
	}
	if s.seed == "" {
		s.seed = weburl.Seed(host)
	}
	if domain := weburl.RegistrableDomain(host); domain != "" {
		s.domain = domain
	}
	s.resolver, _ = weburl.NewResolver(final) // the zero Resolver, when final is not normalised
	s.ownIcon, _ = s.resolver.Resolve("/favicon.ico")
	if d.refs.base != "" {
		if r, err := s.resolver.WithBase(d.refs.base); err == nil {
			s.resolver, s.rebased = r, true
			d.html.Base = r.Base()
		}
	}
	s.known[address(in.URL)] = true // so that the page does not discover itself
	return s
}

func (s *site) resolveAll() {
	text := string(s.d.refs.text)
	for _, ref := range s.d.refs.list {
		s.resolve(ref.kind, text[ref.start:ref.end])
	}
	s.links.Discovered = len(s.discovered)
	s.links.HostCount = len(s.hosts)
}

func (s *site) resolve(kind refKind, ref string) {
	if kind&kindMask == refLink {
		s.link(kind, ref)
		return
	}
	url, err := s.resolver.Append(s.scratch[:0], ref)
	s.scratch = url
	if kind == refAction {
		s.action(string(url), ref, err)
		return
	}
	if err != nil {
		return
	}
	switch kind {
	case refPage:
		s.discover(url)
	case refCanonical:
		if s.d.html.Canonical == "" {
			s.d.html.Canonical = string(url)
		}
		s.discover(url)
	case refFrame:
		if s.isForeign(weburl.Split(string(url)).Host) {
			s.d.html.IframesForeign++
		}
		s.discover(url)
	case refScript:
		if s.isForeign(weburl.Split(string(url)).Host) {
			s.d.html.ScriptsForeign++
		}
	case refIcon:
		if s.icon == "" {
			s.icon = string(url)
		}
	}
}

func (s *site) link(kind refKind, ref string) {
	s.links.Total++
	if kind&flagNofollow != 0 {
		s.links.Nofollow++
	}
	if kind&flagDownload != 0 {
		s.links.Download++
	}
	if strings.HasPrefix(ref, "#") && !s.rebased {
		s.links.Fragment++
		return
	}
	url, err := s.resolver.Append(s.scratch[:0], ref)
	s.scratch = url
	var inScope bool
	switch {
	case errors.Is(err, weburl.ErrScheme):
		s.countScheme(ref)
		return
	case err != nil:
		s.links.Invalid++
		return
	case kind&flagDownload != 0:
		host := weburl.Split(string(url)).Host
		inScope = s.seed.Contains(host)
		s.noteHost(host, inScope)
	default:
		inScope = s.discover(url)
	}
	if inScope {
		s.links.Internal++
	} else {
		s.links.External++
	}
}

// discover notes a page once and reports whether it is in the seed's scope. The
// first of http and https that names it wins. Repeated references, which are
// most, allocate nothing.
func (s *site) discover(url []byte) bool {
	if inScope, ok := s.known[string(url[schemeLen(url):])]; ok {
		return inScope
	}
	page := string(url)
	host := weburl.Split(page).Host
	inScope := s.seed.Contains(host)
	s.known[address(page)] = inScope
	if inScope {
		s.discovered = append(s.discovered, Page{ID: weburl.ID(page), URL: page})
	}
	s.noteHost(host, inScope)
	return inScope
}

func (s *site) noteHost(host string, inScope bool) {
	if inScope || s.hosts[host] {
		return
	}
	s.hosts[host] = true
	if len(s.links.Hosts) < MaxHosts {
		s.links.Hosts = append(s.links.Hosts, host)
	}
}

func (s *site) countScheme(ref string) {
	switch schemeOf(ref) {
	case "mailto":
		s.links.Mailto++
	case "tel":
		s.links.Tel++
	case "javascript":
		s.links.Javascript++
	default:
		s.links.Other++
	}
}

// action fills in the next form's target. A form without one is sent to the
// page itself, whatever its base.
func (s *site) action(url, ref string, err error) {
	var f Form
	if strings.TrimSpace(ref) == "" {
		url, err = s.final, nil
	}
	switch {
	case errors.Is(err, weburl.ErrScheme):
		f.Action = schemeOf(ref) + ":" // of mailto: or javascript: the rest is no address
	case err == nil:
		p := weburl.Split(url)
		f = Form{Action: url, Foreign: s.isForeign(p.Host), Insecure: p.Scheme == "http"}
	}
	forms := &s.d.forms
	if f.Foreign {
		forms.Foreign++
	}
	if f.Insecure {
		forms.Insecure++
	}
	if s.forms < len(forms.Items) {
		item := &forms.Items[s.forms]
		item.Action, item.Foreign, item.Insecure = f.Action, f.Foreign, f.Insecure
	}
	s.forms++
}

func (s *site) favicon() *Favicon {
	if s.icon != "" {
		return &Favicon{URL: s.icon, Declared: true}
	}
	return &Favicon{URL: s.ownIcon}
}

// isForeign reports whether a host lies outside the domain that the page's
// owner registered.
func (s *site) isForeign(host string) bool {
	return !weburl.Seed(s.domain).Contains(host)
}

// address is a normalised URL from "://" on: what of it names the page.
func address(url string) string {
	_, rest, _ := strings.Cut(url, ":")
	return rest
}

func schemeLen(url []byte) int {
	for i, c := range url {
		if c == ':' {
			return i + 1
		}
	}
	return 0
}

// schemeOf returns the scheme of a reference that has one, in lower case, read
// as browsers read it, so that "java\nscript:" does not hide.
func schemeOf(ref string) string {
	var name []byte
	for i := 0; i < len(ref) && len(name) < 20; i++ {
		c := ref[i]
		switch {
		case c == ':':
			return string(name)
		case c <= ' ':
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		name = append(name, c)
	}
	return ""
}
