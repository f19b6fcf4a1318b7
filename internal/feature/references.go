package feature

// refKind says what a reference is for. The flags are added to a refLink.
type refKind uint8

const (
	refLink      refKind = iota // a and area
	refPage                     // next, prev, alternate, refresh
	refCanonical                // canonical
	refFrame                    // frame and iframe
	refScript                   // script
	refAction                   // form, in the order of forms
	refIcon                     // icon

	flagNofollow refKind = 0x40
	flagDownload refKind = 0x80
	kindMask     refKind = 0x3f
)

// references are the URLs on a page as written, in the order of the document.
// Their text lies in one buffer: a page has hundreds.
type references struct {
	base string // the first <base href>, empty without one
	text []byte
	list []reference
}

type reference struct {
	kind       refKind
	start, end int // in text
}

func (r *references) add(kind refKind, value []byte) {
	start := len(r.text)
	r.text = append(r.text, value...)
	r.list = append(r.list, reference{kind, start, len(r.text)})
}
