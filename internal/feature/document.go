package feature

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// document reads one page's HTML. What refers to elsewhere is only noted in
// refs: a <base> further down may change what it means.
type document struct {
	tokens *html.Tokenizer

	html     HTML
	forms    Forms
	form     *Form // the open form; nil outside of one
	spare    Form  // stands for the open form once Items is full
	refs     references
	prose    prose
	elements elements

	raw    atom.Atom // the element whose raw text is the next token, or 0
	titled bool
}

func newDocument(body []byte) *document {
	return &document{tokens: html.NewTokenizer(bytes.NewReader(body))}
}

func (d *document) read() {
	for {
		kind := d.tokens.Next()
		raw := d.raw
		d.raw = 0
		switch kind {
		case html.ErrorToken: // the end; a tag left open there is dropped
			d.html.MaxDepth = d.elements.maxDepth
			return
		case html.TextToken:
			d.text(raw)
		case html.StartTagToken, html.SelfClosingTagToken:
			d.startTag(kind == html.SelfClosingTagToken)
		case html.EndTagToken:
			d.endTag()
		case html.CommentToken:
			if bytes.HasPrefix(d.tokens.Raw(), []byte("<!--")) {
				d.html.Comments++
			}
		}
	}
}

func (d *document) text(raw atom.Atom) {
	switch raw {
	case 0, atom.Xmp, atom.Plaintext:
		d.prose.text(d.tokens.Text())
	case atom.Title:
		if !d.titled && d.elements.foreign == 0 {
			d.titled = true
			title := strings.Join(strings.Fields(string(d.tokens.Text())), " ")
			d.html.Title = clip(title)
			d.html.TitleLength = len([]rune(title))
		}
	}
}

func (d *document) endTag() {
	name, _ := d.tokens.TagName()
	a := atom.Lookup(name)
	if !isInline(a) {
		d.prose.separate()
	}
	if a == atom.Form {
		d.form = nil
	}
	if !isVoid(a) {
		d.elements.pop(a)
	}
}

func (d *document) startTag(selfClosing bool) {
	name, hasAttr := d.tokens.TagName()
	a := atom.Lookup(name)
	d.html.Elements++
	if !isInline(a) {
		d.prose.separate()
	}
	selfClosing = selfClosing && d.elements.foreign > 0 // elsewhere the slash means nothing
	switch {
	case a == atom.Noscript, a == atom.Noframes, selfClosing:
		// This reader runs no scripts and shows no frames; and an element that
		// is closed already has no text.
		d.tokens.NextIsNotRawText()
	case isRawText(a):
		d.raw = a
	}
	d.element(a, hasAttr)
	if !isVoid(a) && !selfClosing {
		d.elements.push(a)
	}
}

func isRawText(a atom.Atom) bool {
	switch a {
	case atom.Iframe, atom.Noembed, atom.Plaintext, atom.Script, atom.Style,
		atom.Textarea, atom.Title, atom.Xmp:
		return true
	}
	return false
}

// element counts what an element stands for and notes where it refers to.
func (d *document) element(a atom.Atom, hasAttr bool) {
	switch a {
	case atom.A, atom.Area:
		d.hyperlink(d.attributes(hasAttr))
	case atom.Img:
		d.html.Images++
	case atom.Script:
		if src := d.attributes(hasAttr).src; src.set {
			d.html.Scripts++
			d.refs.add(refScript, src.value)
		} else {
			d.html.ScriptsInline++
		}
	case atom.Style:
		d.html.StylesInline++
	case atom.Iframe, atom.Frame:
		if a == atom.Iframe {
			d.html.Iframes++
		}
		if src := d.attributes(hasAttr).src; src.set {
			d.refs.add(refFrame, src.value)
		}
	case atom.Link:
		d.link(d.attributes(hasAttr))
	case atom.Meta:
		d.meta(d.attributes(hasAttr))
	case atom.Base:
		if href := d.attributes(hasAttr).href; href.set && d.refs.base == "" {
			d.refs.base = string(href.value)
		}
	case atom.Html:
		if lang := d.attributes(hasAttr).lang; d.html.Lang == "" {
			d.html.Lang = clip(string(lang.value))
		}
	case atom.Form:
		d.startForm(d.attributes(hasAttr))
	case atom.Input, atom.Select, atom.Textarea:
		d.field(a, d.attributes(hasAttr))
	}
}

func (d *document) hyperlink(at attributes) {
	if !at.href.set {
		return
	}
	kind := refLink
	if hasToken(at.rel.value, "nofollow") {
		kind |= flagNofollow
	}
	if at.download.set {
		kind |= flagDownload
	}
	d.refs.add(kind, at.href.value)
}

func (d *document) link(at attributes) {
	if !at.href.set {
		return
	}
	for rel := range bytes.FieldsSeq(at.rel.value) {
		switch strings.ToLower(string(rel)) {
		case "stylesheet":
			d.html.Stylesheets++
		case "icon":
			d.refs.add(refIcon, at.href.value)
		case "canonical":
			d.refs.add(refCanonical, at.href.value)
		case "next", "prev":
			d.refs.add(refPage, at.href.value)
		case "alternate":
			if isPageType(at.kind.value) && !hasToken(at.rel.value, "stylesheet") {
				d.refs.add(refPage, at.href.value)
			}
		}
	}
}

// isPageType reports whether a link's type attribute lets it be a page: feeds
// and the like say that they are not.
func isPageType(kind []byte) bool {
	kind, _, _ = bytes.Cut(kind, []byte(";"))
	kind = bytes.TrimSpace(kind)
	return len(kind) == 0 || bytes.EqualFold(kind, []byte("text/html")) ||
		bytes.EqualFold(kind, []byte("application/xhtml+xml"))
}

func (d *document) meta(at attributes) {
	content := at.content.value
	if bytes.EqualFold(at.httpEquiv.value, []byte("refresh")) {
		if d.html.Refresh == "" {
			d.html.Refresh = clip(withoutUserinfo(string(content)))
		}
		if target := refreshTarget(content); len(target) > 0 {
			d.refs.add(refPage, target)
		}
		return
	}
	var to *string
	switch strings.ToLower(string(at.name.value)) {
	case "description":
		to = &d.html.Description
	case "generator":
		to = &d.html.Generator
	case "viewport":
		to = &d.html.Viewport
	case "robots":
		to = &d.html.Robots
	default:
		return
	}
	if *to == "" {
		*to = clip(strings.TrimSpace(string(content)))
	}
}

// refreshTarget finds the URL in the content of a refresh, as in "5; url='/x'"
// (https://html.spec.whatwg.org/multipage/semantics.html#attr-meta-http-equiv-refresh).
// Without one the page reloads itself.
func refreshTarget(content []byte) []byte {
	s := bytes.TrimLeft(content, "0123456789. \t\r\n\f")
	if len(s) == len(content) || len(s) == 0 {
		return nil
	}
	s = bytes.TrimLeft(s, ";, \t\r\n\f")
	if len(s) >= 3 && bytes.EqualFold(s[:3], []byte("url")) {
		if rest := bytes.TrimLeft(s[3:], " \t\r\n\f"); len(rest) > 0 && rest[0] == '=' {
			s = bytes.TrimLeft(rest[1:], " \t\r\n\f")
		}
	}
	if len(s) > 0 && (s[0] == '\'' || s[0] == '"') {
		quote := s[0]
		s = s[1:]
		if end := bytes.IndexByte(s, quote); end >= 0 {
			s = s[:end]
		}
	}
	return s
}

// attributes are the values this package reads, of one element. They hold
// until the next token.
type attributes struct {
	href, src, rel, kind, name, content, httpEquiv, lang, action, method, download attribute
}

type attribute struct {
	value []byte
	set   bool // the attribute is there, if only with an empty value
}

func (d *document) attributes(more bool) (at attributes) {
	var key, value []byte
	for more {
		key, value, more = d.tokens.TagAttr()
		var to *attribute
		switch string(key) {
		case "href":
			to = &at.href
		case "src":
			to = &at.src
		case "rel":
			to = &at.rel
		case "type":
			to = &at.kind
		case "name":
			to = &at.name
		case "content":
			to = &at.content
		case "http-equiv":
			to = &at.httpEquiv
		case "lang":
			to = &at.lang
		case "action":
			to = &at.action
		case "method":
			to = &at.method
		case "download":
			to = &at.download
		default:
			continue
		}
		*to = attribute{value, true}
	}
	return at
}

// hasToken reports whether a list of words separated by spaces has the word,
// which is in lower case.
func hasToken(list []byte, word string) bool {
	for token := range bytes.FieldsSeq(list) {
		if len(token) == len(word) && strings.EqualFold(string(token), word) {
			return true
		}
	}
	return false
}
