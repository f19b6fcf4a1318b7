package feature

import (
	"slices"

	"golang.org/x/net/html/atom"
)

// elements is the stack of open elements, as far as a count of depth needs it.
// Elements that have no atom of their own share the atom 0.
type elements struct {
	open     []atom.Atom
	p        int // open p elements, to be closed by the next block
	foreign  int // open svg and math elements
	maxDepth int
}

// searchLimit bounds how far down an end tag looks for its element, so that
// the work on a page stays linear in its length. An element further down stays
// open, and the depth comes out too high.
const searchLimit = 64

func (e *elements) push(a atom.Atom) {
	e.closeImplied(a)
	e.open = append(e.open, a)
	switch a {
	case atom.P:
		e.p++
	case atom.Svg, atom.Math:
		e.foreign++
	}
	e.maxDepth = max(e.maxDepth, len(e.open))
}

// pop closes the innermost open element a with all that is inside it. An end
// tag without such an element is ignored.
func (e *elements) pop(a atom.Atom) {
	bounds := cellBounds
	if isTablePart(a) {
		bounds = nil
	}
	e.closeInnermost([]atom.Atom{a}, bounds)
}

// closeImplied closes the elements that the start of a ends without an end tag
// (https://html.spec.whatwg.org/multipage/syntax.html#optional-tags).
func (e *elements) closeImplied(a atom.Atom) {
	switch a {
	case atom.Li:
		e.closeInnermost(justLi, listBounds)
	case atom.Dt, atom.Dd:
		e.closeInnermost(termParts, termBounds)
	case atom.Tr:
		e.closeInnermost(justTr, tableBounds)
	case atom.Td, atom.Th:
		e.closeInnermost(cells, rowBounds)
	case atom.Thead, atom.Tbody, atom.Tfoot:
		e.closeInnermost(rowGroups, tableBounds)
	case atom.Option, atom.Optgroup:
		e.closeInnermost(justOption, selectBounds)
	}
	if e.p > 0 && endsParagraph(a) {
		e.closeInnermost(justP, cellBounds)
	}
}

func (e *elements) closeInnermost(which, bounds []atom.Atom) {
	lowest := max(0, len(e.open)-searchLimit)
	for i := len(e.open) - 1; i >= lowest; i-- {
		if slices.Contains(which, e.open[i]) {
			e.truncate(i)
			return
		}
		if slices.Contains(bounds, e.open[i]) {
			return
		}
	}
}

func (e *elements) truncate(n int) {
	for _, a := range e.open[n:] {
		switch a {
		case atom.P:
			e.p--
		case atom.Svg, atom.Math:
			e.foreign--
		}
	}
	e.open = e.open[:n]
}

var (
	justLi     = []atom.Atom{atom.Li}
	justP      = []atom.Atom{atom.P}
	justTr     = []atom.Atom{atom.Tr}
	justOption = []atom.Atom{atom.Option}
	termParts  = []atom.Atom{atom.Dt, atom.Dd}
	cells      = []atom.Atom{atom.Td, atom.Th}
	rowGroups  = []atom.Atom{atom.Thead, atom.Tbody, atom.Tfoot}

	listBounds   = []atom.Atom{atom.Ul, atom.Ol, atom.Menu, atom.Table}
	termBounds   = []atom.Atom{atom.Dl, atom.Table}
	tableBounds  = []atom.Atom{atom.Table}
	rowBounds    = []atom.Atom{atom.Tr, atom.Table}
	selectBounds = []atom.Atom{atom.Select}
	cellBounds   = []atom.Atom{atom.Td, atom.Th, atom.Caption, atom.Table, atom.Button, atom.Object, atom.Template}
)

func isTablePart(a atom.Atom) bool {
	switch a {
	case atom.Table, atom.Thead, atom.Tbody, atom.Tfoot, atom.Tr, atom.Td, atom.Th,
		atom.Caption, atom.Button, atom.Object, atom.Template, atom.Body, atom.Html:
		return true
	}
	return false
}

func isVoid(a atom.Atom) bool {
	switch a {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input,
		atom.Link, atom.Meta, atom.Param, atom.Source, atom.Track, atom.Wbr, atom.Frame, atom.Keygen:
		return true
	}
	return false
}

func endsParagraph(a atom.Atom) bool {
	switch a {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Center, atom.Details,
		atom.Dialog, atom.Dir, atom.Div, atom.Dl, atom.Dt, atom.Dd, atom.Fieldset, atom.Figcaption,
		atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6,
		atom.Header, atom.Hgroup, atom.Hr, atom.Li, atom.Main, atom.Menu, atom.Nav, atom.Ol, atom.P,
		atom.Pre, atom.Section, atom.Summary, atom.Table, atom.Ul:
		return true
	}
	return false
}

// isInline reports whether text goes on through the tags of an element: the b
// in "<b>un</b>like" splits no word, a div or br would.
func isInline(a atom.Atom) bool {
	switch a {
	case atom.A, atom.Abbr, atom.Acronym, atom.B, atom.Bdi, atom.Bdo, atom.Big, atom.Cite,
		atom.Code, atom.Data, atom.Del, atom.Dfn, atom.Em, atom.Font, atom.I, atom.Ins, atom.Kbd,
		atom.Label, atom.Mark, atom.Nobr, atom.Q, atom.S, atom.Samp, atom.Small, atom.Span,
		atom.Strike, atom.Strong, atom.Sub, atom.Sup, atom.Time, atom.Tt, atom.U, atom.Var, atom.Wbr:
		return true
	}
	return false
}
