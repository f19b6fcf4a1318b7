package feature

import (
	"net/http"
	"strings"
	"time"

	"limpet/internal/weburl"
)

// Page names a page that another one leads to.
type Page struct {
	ID  string // see weburl.ID
	URL string // normalised
}

// Discovered are the pages within the seed's scope that a page leads to, each
// once, in the order of the document, the page itself left out. What counts as
// leading there is in docs/features.md.
type Discovered []Page

// Extract describes a page. A page that is not HTML has no HTML, Forms, Links,
// Text or Favicon, and leads nowhere.
func Extract(in Input) (Record, Discovered) {
	r := Record{
		V:           Version,
		ID:          weburl.ID(in.URL),
		Seed:        string(in.Seed),
		Depth:       in.Depth,
		RequestedAt: in.RequestedAt.UTC().Truncate(time.Millisecond),
		URL:         describeURL(in.URL),
		HTTP:        describeHTTP(&in),
		TLS:         describeTLS(&in),
	}
	if !in.isHTML() {
		return r, nil
	}
	d := newDocument(in.Body)
	d.read()
	s := newSite(&in, d)
	s.resolveAll()

	r.HTML, r.Forms, r.Links = &d.html, &d.forms, &s.links
	r.Favicon = s.favicon()
	r.Text = d.prose.describe()
	if len(in.Body) > 0 {
		d.html.TextShare = round3(min(1, float64(d.prose.bytes)/float64(len(in.Body))))
	}
	return r, s.discovered
}

func (in *Input) isHTML() bool {
	kind := in.ContentType
	if kind == "" && len(in.Body) > 0 {
		kind, _, _ = strings.Cut(http.DetectContentType(in.Body), ";")
	}
	return kind == "text/html" || kind == "application/xhtml+xml"
}
