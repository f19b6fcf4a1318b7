package rdb

import "encoding/binary"

// moduleName spells the type's name: nine letters of six bits each, above ten
// bits of the module's own encoding version.
func moduleName(id uint64) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var name [9]byte
	id >>= 10
	for i := len(name) - 1; i >= 0; i-- {
		name[i] = letters[id&63]
		id >>= 6
	}
	return string(name[:])
}

func encodeModule(m Module) encoding {
	return encoding{typ: typeModule2, rest: func(w *writer) error {
		w.length(m.ID)
		w.raw(m.Body)
		w.length(moduleEOF)
		return w.err
	}}
}

// module reads a module's value behind its id. Every part says what it is, so
// that it can be read without the module; body gets the parts in the same form.
func (r *reader) module() (body []byte) {
	for r.err == nil {
		part := r.length()
		if part == moduleEOF {
			return body
		}
		body = appendLength(body, part)
		switch part {
		case moduleSint, moduleUint:
			body = appendLength(body, r.length())
		case moduleFloat:
			body = binary.LittleEndian.AppendUint32(body, r.uint32LE())
		case moduleDouble:
			body = binary.LittleEndian.AppendUint64(body, r.uint64LE())
		case moduleString:
			s := r.string()
			body = append(appendLength(body, uint64(len(s))), s...)
		default:
			r.corrupt("part of kind %d", part)
		}
	}
	return nil
}
