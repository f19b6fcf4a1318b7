package feature

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"unicode"
	"unicode/utf8"
)

// prose takes a page's text in pieces and sums it up as it goes by, so that
// the text itself is never kept. It works on the text with every run of white
// space made one space, and none at its ends.
//
// A word is a run of letters, digits and marks; each Han, Hiragana or Katakana
// character is a word of its own, since their texts put no spaces.
type prose struct {
	characters int
	bytes      int
	space      bool   // white space came since the last character
	inWord     bool   // a word is open
	word       uint64 // FNV-1a of the open word's bytes so far, in lower case
	sim        simhash

	sum     hash.Hash
	pending []byte // not yet in sum
}

// flushAt is how many bytes of text are hashed at once.
const flushAt = 4096

// text takes the next piece. Words go on from one piece to the next.
func (p *prose) text(b []byte) {
	for len(b) > 0 {
		if len(p.pending) >= flushAt {
			p.flush()
		}
		n := 0
		for n < len(b) && n < flushAt && b[n] < utf8.RuneSelf {
			n++
		}
		p.ascii(b[:n])
		b = b[n:]
		for len(b) > 0 && b[0] >= utf8.RuneSelf && len(p.pending) < flushAt {
			r, size := utf8.DecodeRune(b)
			p.character(r, b[:size])
			b = b[size:]
		}
	}
}

// separate ends the word that is open, as the edge of a block does.
func (p *prose) separate() {
	p.endWord()
	p.space = true
}

func (p *prose) describe() *Text {
	p.endWord()
	p.flush()
	return &Text{
		Words:      p.sim.words,
		Characters: p.characters,
		SimHash:    fmt.Sprintf("%016x", p.sim.sum()),
		SHA256:     hex.EncodeToString(p.sum.Sum(nil)),
	}
}

// ascii takes text of one byte a character. Most of all text comes by here.
func (p *prose) ascii(b []byte) {
	word, inWord, pending := p.word, p.inWord, p.pending
	before := len(pending)
	for _, c := range b {
		kind := asciiKinds[c]
		if kind == wordByte {
			if !inWord {
				inWord, word = true, fnvOffset
			}
			word = (word ^ uint64(c|0x20)) * fnvPrime // digits have that bit already
		} else {
			if inWord {
				inWord = false
				p.sim.word(word)
			}
			if kind == spaceByte {
				p.space = true
				continue
			}
		}
		if p.space {
			p.space = false
			if p.bytes > 0 || len(pending) > before {
				pending = append(pending, ' ')
			}
		}
		pending = append(pending, c)
	}
	p.characters += len(pending) - before
	p.bytes += len(pending) - before
	p.word, p.inWord, p.pending = word, inWord, pending
}

// character takes one character beyond ASCII, b being its bytes.
func (p *prose) character(r rune, b []byte) {
	switch {
	case unicode.IsSpace(r):
		p.separate()
		return
	case isIdeograph(r):
		p.endWord()
		p.extendWord(r)
		p.endWord()
	case unicode.IsLetter(r), unicode.IsNumber(r), unicode.IsMark(r):
		p.extendWord(unicode.ToLower(r))
	case unicode.Is(unicode.Cf, r): // a soft hyphen, say, parts no word
	default:
		p.endWord()
	}
	if p.space && p.bytes > 0 {
		p.pending = append(p.pending, ' ')
		p.characters++
		p.bytes++
	}
	p.space = false
	p.pending = append(p.pending, b...)
	p.characters++
	p.bytes += len(b)
}

func (p *prose) extendWord(r rune) {
	if !p.inWord {
		p.inWord, p.word = true, fnvOffset
	}
	var buf [utf8.UTFMax]byte
	for _, c := range utf8.AppendRune(buf[:0], r) {
		p.word = (p.word ^ uint64(c)) * fnvPrime
	}
}

func (p *prose) endWord() {
	if p.inWord {
		p.inWord = false
		p.sim.word(p.word)
	}
}

func (p *prose) flush() {
	if p.sum == nil {
		p.sum = sha256.New()
	}
	_, _ = p.sum.Write(p.pending) // a hash takes everything
	p.pending = p.pending[:0]
}

func isIdeograph(r rune) bool {
	return r >= 0x3005 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

const (
	wordByte  = 1
	spaceByte = 2
)

var asciiKinds = func() (t [256]uint8) {
	for c := range utf8.RuneSelf {
		switch r := rune(c); {
		case unicode.IsLetter(r), unicode.IsDigit(r):
			t[c] = wordByte
		case unicode.IsSpace(r):
			t[c] = spaceByte
		}
	}
	return t
}()
