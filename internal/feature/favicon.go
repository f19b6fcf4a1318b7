package feature

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"github.com/twmb/murmur3"
)

// FaviconHash returns an icon's SHA-256 in hexadecimal and the hash under
// which Shodan finds it: 32-bit MurmurHash3 with seed 0, as a signed number,
// of the icon in base64 with a newline after every 76 characters and at the
// end, as Python's base64.encodebytes writes it.
func FaviconHash(icon []byte) (sha string, mmh3 int32) {
	sum := sha256.Sum256(icon)
	return hex.EncodeToString(sum[:]), int32(murmur3.Sum32(mimeBase64(icon)))
}

// Fill adds the hashes of the icon that f.URL names.
func (f *Favicon) Fill(icon []byte) {
	sha, mmh3 := FaviconHash(icon)
	f.SHA256, f.MMH3 = sha, &mmh3
}

func mimeBase64(b []byte) []byte {
	const bytesPerLine = 57 // 76 characters
	enc := base64.StdEncoding
	out := make([]byte, 0, enc.EncodedLen(len(b))+len(b)/bytesPerLine+1)
	for len(b) > 0 {
		line := b[:min(len(b), bytesPerLine)]
		out = append(enc.AppendEncode(out, line), '\n')
		b = b[len(line):]
	}
	return out
}
