package feature

import (
	"strings"

	"golang.org/x/net/html/atom"
)

// startForm opens a form. One inside another is ignored, as HTML has it.
func (d *document) startForm(at attributes) {
	if d.form != nil {
		return
	}
	d.forms.Count++
	form := Form{Method: formMethod(at.method.value)}
	if len(d.forms.Items) < MaxForms {
		if d.forms.Items == nil {
			// Never grown, so that d.form stays in it.
			d.forms.Items = make([]Form, 0, MaxForms)
		}
		d.forms.Items = append(d.forms.Items, form)
		d.form = &d.forms.Items[len(d.forms.Items)-1]
	} else {
		d.spare = form
		d.form = &d.spare
	}
	d.refs.add(refAction, at.action.value)
}

func formMethod(value []byte) string {
	switch method := strings.ToLower(string(value)); method {
	case "post", "dialog":
		return method
	}
	return "get"
}

// field counts a control of the open form, or one outside of any.
func (d *document) field(a atom.Atom, at attributes) {
	kind := a.String()
	if a == atom.Input {
		kind = strings.ToLower(clipTo(string(at.kind.value), 20))
		switch kind {
		case "submit", "button", "image", "reset":
			return
		case "":
			kind = "text"
		}
	}
	if kind == "password" {
		d.forms.Password++
	}
	f := d.form
	if f == nil {
		d.forms.Outside++
		return
	}
	f.FieldCount++
	if len(f.Fields) < MaxFields {
		f.Fields = append(f.Fields, Field{Name: clipTo(string(at.name.value), 64), Type: kind})
	}
	switch kind {
	case "password":
		f.Password = true
	case "hidden":
		f.Hidden++
	case "file":
		f.Upload = true
	}
}
