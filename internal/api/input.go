package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"limpet/internal/weburl"
)

// maxBody is the most a request may hold, in bytes.
const maxBody = 1 << 20

// readBody reads the request's JSON object into v, a pointer to a struct, and
// takes nothing that it does not know. example is one that would do.
func readBody(w http.ResponseWriter, r *http.Request, v any, example string) error {
	if err := checkContentType(r); err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(connectionOf(w), r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refusef(http.StatusRequestEntityTooLarge, "body is over %d bytes", maxBody)
	case err != nil:
		return badRequest("body ended early")
	case len(strings.TrimSpace(string(body))) == 0:
		return badRequest("body is empty: want JSON like %s", example)
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return badJSON(err, v, example)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return badRequest("body goes on after the JSON object, at byte %d: want one object", decoder.InputOffset())
	}
	return nil
}

// readOptionalBody is [readBody] where there need not be one.
func readOptionalBody(w http.ResponseWriter, r *http.Request, v any, example string) error {
	if r.ContentLength == 0 {
		return nil
	}
	return readBody(w, r, v, example)
}

// badJSON puts what encoding/json says into words for people who never heard of
// it.
func badJSON(err error, v any, example string) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return badRequest("body is a JSON %s: want an object like %s", kind.Value, example)
	case errors.As(err, &kind):
		return badRequest("field %q: want %s, have %s", kind.Field, nameOf(kind.Type), kind.Value)
	case errors.As(err, &syntax):
		return badRequest("body is not JSON: %s, at byte %d", strings.TrimPrefix(syntax.Error(), "json: "), syntax.Offset).
			withHint("want JSON like " + example)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return badRequest("body is not JSON: it ends early").withHint("want JSON like " + example)
	}
	if _, name, found := strings.Cut(err.Error(), "unknown field "); found {
		return badRequest("unknown field %.200s: want %s", name, orNone(fieldsOf(v)))
	}
	return badRequest("body is not as expected: %v", err)
}

func nameOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return fmt.Sprintf("a %v", t)
}

// fieldsOf lists the JSON names of a struct's fields.
func fieldsOf(v any) []string {
	t := reflect.TypeOf(v).Elem()
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// checkContentType takes JSON, and a body that does not say what it is. What a
// form of a web page can send is refused: curl -d says it is one of those unless
// told otherwise, hence the hint.
func checkContentType(r *http.Request) error {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(header)
	if err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")) {
		return nil
	}
	return refusef(http.StatusUnsupportedMediaType, "content type %.100q: want application/json", header).
		withHint(`with curl: -H "Content-Type: application/json"`)
}

// seedOf reads the seed from the path. A name that cannot be one was never
// submitted: it is not found, like any other.
func seedOf(r *http.Request) (weburl.Seed, error) {
	seed, err := weburl.ParseSeed(r.PathValue("seed"))
	if err != nil {
		return "", refusef(http.StatusNotFound, "unknown seed: %v", err)
	}
	return seed, nil
}

// query is the part of the URL behind the question mark, and the first thing
// that was wrong with it.
type query struct {
	values url.Values
	err    error
}

// queryOf reads the query; only the named parameters may be in it, each once.
func queryOf(r *http.Request, known ...string) *query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.fail("query cannot be read: %v", err)
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // the same mistake, the same answer
	for _, name := range names {
		if !slices.Contains(known, name) {
			q.fail("unknown parameter %.100q: want %s", name, orNone(known))
		}
		if len(values[name]) > 1 {
			q.fail("parameter %.100q is given %d times: want it once", name, len(values[name]))
		}
	}
	return q
}

func (q *query) fail(format string, args ...any) {
	if q.err == nil {
		q.err = badRequest(format, args...)
	}
}

// oneOf reads a parameter that has a few values; absent, it is the first.
func (q *query) oneOf(name string, values ...string) string {
	value := q.values.Get(name)
	if !q.values.Has(name) {
		return values[0]
	}
	if value == "" || !slices.Contains(values, value) {
		named := slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
		q.fail("%s %.100q: want %s", name, value, strings.Join(named, ", "))
	}
	return value
}

// limit reads how many entries a list may have.
func (q *query) limit() int {
	const usual, most = 100, 1000
	text := q.values.Get("limit")
	if !q.values.Has("limit") {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		q.fail("limit %.100q: want a number from 1 to %d", text, most)
	}
	return n
}

// cursor reads where a list goes on: a number that an earlier answer gave, which
// means something to the store alone. 0 is the start.
func (q *query) cursor() uint64 {
	text := q.values.Get("cursor")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		q.fail("cursor %.100q: want the one that the last answer gave", text)
	}
	return n
}
