package fetch

import (
	"bytes"
	"encoding/binary"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

var utf8BOM = []byte("\xef\xbb\xbf")

// toUTF8 returns text as valid UTF-8 without a byte order mark, and the name of
// the encoding it was in (https://encoding.spec.whatwg.org, lower case). What
// the encoding cannot have is replaced by U+FFFD. The result never aliases
// text, and is at most three times as long.
//
// The encoding is found as browsers find it: byte order mark, Content-Type,
// <meta>, and else a guess. Unlike them, it takes text for UTF-8 that is valid
// as such when Content-Type is silent and <meta> says windows-1252 or nothing:
// text in windows-1252 that happens to be valid UTF-8 hardly exists.
func toUTF8(text []byte, contentType string, cut bool) ([]byte, string) {
	if cut {
		text = withoutPartialRune(text)
	}
	valid := utf8.Valid(text)
	if valid && !declares(contentType) && isASCII(text) {
		return bytes.Clone(text), "utf-8"
	}
	if valid && declaresUTF8(contentType) && !hasUTF16BOM(text) {
		return bytes.Clone(bytes.TrimPrefix(text, utf8BOM)), "utf-8"
	}

	encoding, name, certain := charset.DetermineEncoding(text, contentType)
	if name == "utf-8" || !certain && valid && name == "windows-1252" && !isASCII(text) {
		text = bytes.TrimPrefix(text, utf8BOM)
		if !valid {
			text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
			return text, "utf-8"
		}
		return bytes.Clone(text), "utf-8"
	}
	decoded, err := encoding.NewDecoder().Bytes(text)
	if err != nil { // the decoders of the standard replace and never fail
		return bytes.ToValidUTF8(text, []byte("\uFFFD")), name
	}
	return bytes.TrimPrefix(decoded, utf8BOM), name
}

// withoutPartialRune drops the bytes of a character that a cut went through.
func withoutPartialRune(text []byte) []byte {
	for i := len(text) - 1; i >= 0 && i >= len(text)-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
}

// isASCII also sees to it that no byte could mean something else: escapes
// switch ISO-2022-JP to other characters, zeros are half of UTF-16.
func isASCII(text []byte) bool {
	if bytes.IndexByte(text, 0x1b) >= 0 || bytes.IndexByte(text, 0) >= 0 {
		return false
	}
	for len(text) >= 8 {
		if binary.LittleEndian.Uint64(text)&0x8080808080808080 != 0 {
			return false
		}
		text = text[8:]
	}
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func hasUTF16BOM(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff"))
}

func declares(contentType string) bool {
	return strings.Contains(strings.ToLower(contentType), "charset")
}

// declaresUTF8 knows the usual spellings without parsing.
func declaresUTF8(contentType string) bool {
	_, value, ok := strings.Cut(contentType, "charset=")
	return ok && (strings.EqualFold(value, "utf-8") || strings.EqualFold(value, `"utf-8"`))
}

// mediaType returns the type and subtype of a Content-Type, in lower case.
func mediaType(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(contentType, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	return media
}

// isText reports whether a media type is text that has a charset.
func isText(media string) bool {
	switch media {
	case "application/xhtml+xml", "application/xml", "application/json",
		"application/javascript", "application/ld+json":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+xml")
}
