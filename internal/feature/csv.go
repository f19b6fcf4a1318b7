package feature

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A CSV row has one column for each field of a record, named by its path in
// the JSON, as in url.path_depth. Lists of words are joined by spaces, other
// lists are JSON; a section that a page does not have leaves its columns empty.

// column is one leaf of Record.
type column struct {
	name  string
	index []int // the path to it, by field numbers
}

var columns = columnsOf(reflect.TypeFor[Record](), "", nil)

func columnsOf(t reflect.Type, prefix string, index []int) (all []column) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		path := append(index[:len(index):len(index)], i)
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		if kind.Kind() == reflect.Struct && kind != reflect.TypeFor[time.Time]() {
			all = append(all, columnsOf(kind, prefix+name+".", path)...)
			continue
		}
		all = append(all, column{prefix + name, path})
	}
	return all
}

// CSVHeader returns the names of the columns. It is the same for all records
// of a schema version.
func CSVHeader() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

// CSVRow returns a record's values in the order of CSVHeader, ready for
// encoding/csv. Text that a spreadsheet would run as a formula gets an
// apostrophe in front: titles and headers are whatever a stranger wrote.
func CSVRow(r Record) []string {
	row := make([]string, len(columns))
	record := reflect.ValueOf(r)
	for i, c := range columns {
		if v, ok := lookup(record, c.index); ok {
			row[i] = csvText(v)
		}
	}
	return row
}

func lookup(v reflect.Value, index []int) (reflect.Value, bool) {
	for _, i := range index {
		v = v.Field(i)
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
	}
	return v, true
}

func csvText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return inert(v.String())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	switch value := v.Interface().(type) {
	case time.Time:
		if value.IsZero() {
			return ""
		}
		return value.Format(time.RFC3339Nano)
	case []string:
		return inert(strings.Join(value, " "))
	}
	if v.Len() == 0 {
		return ""
	}
	list, err := json.Marshal(v.Interface())
	if err != nil {
		return "" // structs of strings and numbers always encode
	}
	return string(list)
}

// inert follows https://owasp.org/www-community/attacks/CSV_Injection.
func inert(s string) string {
	if s != "" && strings.IndexByte("=+-@\t\r", s[0]) >= 0 {
		return "'" + s
	}
	return s
}
