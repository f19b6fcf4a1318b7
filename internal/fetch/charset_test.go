package fetch

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

func encodeText(t *testing.T, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCharset_EveryPageBecomesUTF8(t *testing.T) {
	late := strings.Repeat("ascii ", 300)
	in := func(e encoding.Encoding, s string) string { return encodeText(t, e, s) }
	for _, c := range []struct{ name, contentType, body, want, charset string }{
		{"ASCII", "text/html", "plain", "plain", "utf-8"},
		{"UTF-8 declared", "text/html; charset=UTF-8", "naïve", "naïve", "utf-8"},
		{"UTF-8 declared in quotes", `text/html; charset="utf-8"`, "naïve", "naïve", "utf-8"},
		{"UTF-8 silent", "text/html", "naïve", "naïve", "utf-8"},
		{"UTF-8 after 1024 bytes of ASCII", "text/html", late + "naïve", late + "naïve", "utf-8"},
		{"UTF-8 with a mark", "text/html", "\ufeffnaïve", "naïve", "utf-8"},
		{"a mark beats the header", "text/html; charset=iso-8859-1", "\ufeffnaïve", "naïve", "utf-8"},
		{"UTF-8, meta says latin", "text/html", `<meta charset="iso-8859-1">naïve`, `<meta charset="iso-8859-1">naïve`, "utf-8"},
		{"damaged UTF-8", "text/html; charset=utf-8", "na\xc3\xafve \xff!", "naïve \ufffd!", "utf-8"},
		{"latin 1", "text/html; charset=ISO-8859-1", in(charmap.Windows1252, "naïve “quotes”"), "naïve “quotes”", "windows-1252"},
		{"latin 1, silent", "text/html", in(charmap.Windows1252, "naïve"), "naïve", "windows-1252"},
		{"ASCII declared latin 1", "text/html; charset=us-ascii", "plain", "plain", "windows-1252"},
		{"latin 2", "text/html; charset=iso-8859-2", in(charmap.ISO8859_2, "źdźbło"), "źdźbło", "iso-8859-2"},
		{"Cyrillic in meta", "text/html", `<meta charset=windows-1251>` + in(charmap.Windows1251, "Привет"), `<meta charset=windows-1251>Привет`, "windows-1251"},
		{"KOI8-R in meta http-equiv", "text/html", `<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">` + in(charmap.KOI8R, "Привет"), `<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">Привет`, "koi8-r"},
		{"the header beats meta", "text/html; charset=windows-1251", `<meta charset=koi8-r>` + in(charmap.Windows1251, "Привет"), `<meta charset=koi8-r>Привет`, "windows-1251"},
		{"Shift_JIS", "text/html; charset=Shift_JIS", in(japanese.ShiftJIS, "日本語"), "日本語", "shift_jis"},
		{"EUC-JP", "text/html; charset=euc-jp", in(japanese.EUCJP, "日本語"), "日本語", "euc-jp"},
		{"ISO-2022-JP looks like ASCII", "text/html; charset=iso-2022-jp", in(japanese.ISO2022JP, "日本語"), "日本語", "iso-2022-jp"},
		{"ISO-2022-JP in meta", "text/html", `<meta charset=iso-2022-jp>` + in(japanese.ISO2022JP, "日本語"), `<meta charset=iso-2022-jp>日本語`, "iso-2022-jp"},
		{"GBK", "text/html; charset=gb2312", in(simplifiedchinese.GBK, "中文"), "中文", "gbk"},
		{"GBK that is valid UTF-8", "text/html; charset=gbk", in(simplifiedchinese.GBK, "联通"), "联通", "gbk"},
		{"GB18030", "text/html; charset=gb18030", in(simplifiedchinese.GB18030, "中文€"), "中文€", "gb18030"},
		{"Big5", "text/html; charset=big5", in(traditionalchinese.Big5, "中文"), "中文", "big5"},
		{"EUC-KR", "text/html; charset=euc-kr", in(korean.EUCKR, "한국어"), "한국어", "euc-kr"},
		{"UTF-16LE by its mark", "text/html", "\xff\xfe" + in(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "日本 a"), "日本 a", "utf-16le"},
		{"UTF-16BE by its mark", "text/html; charset=utf-8", "\xfe\xff" + in(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "日本 a"), "日本 a", "utf-16be"},
		{"UTF-16 without a mark", "text/html; charset=utf-16le", "a\x00b\x00", "ab", "utf-16le"},
		{"a charset nobody knows", "text/html; charset=klingon", "naïve", "naïve", "utf-8"},
		{"a header nobody can read", "text/html; charset", "naïve", "naïve", "utf-8"},
		{"a retired encoding", "text/html; charset=hz-gb-2312", "~{<:Ky2;", "\ufffd", "replacement"},
		{"plain text", "text/plain; charset=latin1", "\xe9", "é", "windows-1252"},
		{"XHTML", "application/xhtml+xml; charset=latin1", "\xe9", "é", "windows-1252"},
	} {
		client := site(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.contentType)
			_, _ = w.Write([]byte(c.body))
		})
		r := get(t, client, "http://test.com/")
		if string(r.Body) != c.want || r.Charset != c.charset || !utf8.Valid(r.Body) {
			t.Errorf("%s: %q in %q, want %q in %q", c.name, r.Body, r.Charset, c.want, c.charset)
		}
	}
}

func TestCharset_CutWithinACharacter_LosesThatCharacterOnly(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(strings.Repeat("日", 100)))
	}, func(o *Options) { o.MaxBody = 100 })
	if r := get(t, client, "http://test.com/"); string(r.Body) != strings.Repeat("日", 33) || r.Charset != "utf-8" || !r.Truncated {
		t.Errorf("%q in %s, cut %v", r.Body, r.Charset, r.Truncated)
	}
}

func TestCharset_NotText_IsLeftAlone(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/x-icon")
		_, _ = w.Write([]byte("\x00\x00\x01\xff\xef\xbb\xbf"))
	})
	if r := get(t, client, "http://test.com/"); string(r.Body) != "\x00\x00\x01\xff\xef\xbb\xbf" || r.Charset != "" || r.IsHTML() {
		t.Errorf("%q in %q", r.Body, r.Charset)
	}
}

func TestMediaType_Missing_IsSniffed(t *testing.T) {
	client := site(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = w.Write([]byte("<!doctype html><title>é</title>"))
	})
	r := get(t, client, "http://test.com/")
	if r.MediaType != "text/html" || !r.Sniffed || !r.IsHTML() || r.Charset != "utf-8" {
		t.Errorf("%q in %q, sniffed %v", r.MediaType, r.Charset, r.Sniffed)
	}
}

func FuzzToUTF8_IsAlwaysValid(f *testing.F) {
	f.Add([]byte("<meta charset=gbk>\xff"), "text/html; charset=utf-16", true)
	f.Fuzz(func(t *testing.T, text []byte, contentType string, cut bool) {
		before := string(text)
		out, _ := toUTF8(text, contentType, cut)
		if !utf8.Valid(out) || len(out) > 3*len(text)+3 {
			t.Errorf("%d bytes became %d, valid: %v", len(text), len(out), utf8.Valid(out))
		}
		if string(text) != before {
			t.Error("the input was written to")
		}
	})
}
