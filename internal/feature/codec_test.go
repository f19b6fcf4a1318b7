package feature

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func shopRecord(t testing.TB) Record {
	body, err := os.ReadFile("testdata/shop.html")
	if err != nil {
		t.Fatal(err)
	}
	in := pageInput(string(body))
	in.RequestedAt = time.Date(2026, 1, 2, 3, 4, 5, 6789012, time.UTC)
	r, _ := Extract(in)
	r.Favicon.Fill([]byte("icon"))
	return r
}

// Records in stores out there were compressed against these very bytes.
func TestDictionary_NeverChanges(t *testing.T) {
	const released = "2fb5da800fff484e4bc31542b0defd7a4d530de3b1525a8cff8b23e2dd80c5d5"
	sum := sha256.Sum256(dictionary)
	if hex.EncodeToString(sum[:]) != released {
		t.Error("the dictionary has changed: put the old one back and give the new one the next ID")
	}
}

func TestMarshal_RoundTrip_AtOnceFromManySides(t *testing.T) {
	r := shopRecord(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				stored, err := Marshal(r)
				if err != nil {
					t.Error(err)
					return
				}
				back, err := Unmarshal(stored)
				if diff := cmp.Diff(r, back); err != nil || diff != "" {
					t.Errorf("%v (-was +is):\n%s", err, diff)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestMarshal_TheDictionaryPays(t *testing.T) {
	r := shopRecord(t)
	stored, err := Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored)*3 > len(line) {
		t.Errorf("%d bytes of JSON became %d", len(line), len(stored))
	}
}

func TestUnmarshal_TellsDamagedFromNewer(t *testing.T) {
	stored, err := Marshal(shopRecord(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range stored {
		if _, err := Unmarshal(stored[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		bad := bytes.Clone(stored)
		bad[i] ^= 0x55
		if _, err := Unmarshal(bad); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Fatalf("flipped at %d: %v", i, err)
		}
	}
	for line, want := range map[string]error{
		`{"v":2,"url":"of another shape"}`: ErrNewer,
		`{"v":0}`:                          ErrDamaged,
		`{}`:                               ErrDamaged,
		`{"v":1,"url":7}`:                  ErrDamaged,
		`[]`:                               ErrDamaged,
		strings.Repeat(" ", 2*maxRecord):   ErrDamaged,
	} {
		if _, err := Unmarshal(encoder().EncodeAll([]byte(line), nil)); !errors.Is(err, want) {
			t.Errorf("%.40s: %v, want %v", line, err, want)
		}
	}
}

func FuzzUnmarshal_NeverPanics(f *testing.F) {
	stored, err := Marshal(shopRecord(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored)
	f.Fuzz(func(t *testing.T, stored []byte) {
		if _, err := Unmarshal(stored); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Fatal(err)
		}
	})
}

func TestCSV_HasAColumnForEachField(t *testing.T) {
	r := shopRecord(t)
	r.HTML.Title = "=HYPERLINK(1)"
	header, row := CSVHeader(), CSVRow(r)
	value := func(name string) string {
		i := slices.Index(header, name)
		if i < 0 {
			t.Fatalf("no column %s", name)
		}
		return row[i]
	}
	for name, want := range map[string]string{
		"v":                "1",
		"requested_at":     "2026-01-02T03:04:05.006Z",
		"url.host":         "www.test.com",
		"url.ip_host":      "false",
		"http.cookies.lax": "0",
		"tls.not_after":    "",
		"html.title":       "'=HYPERLINK(1)",
		"links.hosts":      "www.facebook.com de.wikipedia.org player.example.org",
		"http.hops":        "",
		"favicon.mmh3":     "1355950459",
		"forms.items": `[{"action":"https://www.test.com/search","method":"get","field_count":1,` +
			`"fields":[{"name":"q","type":"text"}],"hidden":0,"password":false,"upload":false,"foreign":false,"insecure":false}]`,
	} {
		if got := value(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := CSVRow(Record{}); len(got) != len(header) {
		t.Errorf("an empty record has %d columns of %d", len(got), len(header))
	}
}

// docs/features.md names each field in backquotes, by its path.
func TestDocs_NameEveryField(t *testing.T) {
	page, err := os.ReadFile("../../docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	names := CSVHeader()
	for _, c := range slices.Concat(
		columnsOf(reflect.TypeFor[HopRec](), "http.hops[].", nil),
		columnsOf(reflect.TypeFor[Form](), "forms.items[].", nil),
		columnsOf(reflect.TypeFor[Field](), "forms.items[].fields[].", nil),
	) {
		names = append(names, c.name)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/features.md does not explain `%s`", name)
		}
	}
}
