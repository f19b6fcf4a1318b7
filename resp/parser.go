package resp

import (
	"bytes"
	"errors"
	"strconv"
)

// Limits of redis-server 7.0 on what a client may send.
const (
	MaxInline       = 64 << 10  // bytes of an inline request or of a length line
	MaxArgs         = 1<<31 - 1 // arguments of one request, authenticated or not needed
	MaxArgsUnauth   = 10        // arguments while the client has not authenticated
	MaxBulk         = 512 << 20 // bytes of one argument
	MaxBulkUnauth   = 16 << 10  // the same while the client has not authenticated
	initialArgsHint = 1024      // arguments made room for before they arrive
)

// A ProtocolError is a request that is not RESP. The connection cannot be
// resynchronised: send the text and close. It reads as Redis words it, without
// the leading "ERR ".
type ProtocolError string

func (e ProtocolError) Error() string { return string(e) }

// IsProtocolError tells whether err says that a stream is not RESP.
func IsProtocolError(err error) bool {
	var p ProtocolError
	return errors.As(err, &p)
}

// Parser cuts requests out of a byte stream that arrives in pieces. It
// remembers how far it got in an unfinished request, so that a large one is
// scanned once and not again for each piece.
//
// The caller owns the buffer and must hand in the same unfinished bytes again,
// at any address, with more behind them.
type Parser struct {
	// Unauthenticated narrows the limits, as Redis does before AUTH.
	Unauthenticated bool
	// MaxBulk overrides the largest argument, in bytes; zero means MaxBulk.
	MaxBulk int

	pos     int   // bytes of the unfinished request already understood
	left    int   // arguments still to come; 0 between requests
	bulkLen int   // length of the argument being awaited, -1 when not known yet
	spans   []int // begin and end of each argument understood so far
}

// Next takes the first request from b and appends its arguments to args[:0].
// They are slices of b. n is the number of bytes consumed; n == 0 means that b
// ends inside a request. A request of no arguments (an empty line, "*0") is
// consumed with len(args) == 0 and is to be ignored.
//
// A [ProtocolError] ends the stream.
func (p *Parser) Next(b []byte, args [][]byte) (_ [][]byte, n int, err error) {
	args = args[:0]
	if p.left == 0 {
		if len(b) == 0 {
			return args, 0, nil
		}
		if b[0] != '*' {
			return p.inline(b, args)
		}
		done, err := p.begin(b)
		if err != nil || !done {
			return args, 0, err
		}
		if p.left == 0 { // "*0" or a negative count
			n = p.pos
			p.pos = 0
			return args, n, nil
		}
	}
	done, err := p.bulks(b)
	if err != nil || !done {
		return args, 0, err
	}
	for i := 0; i < len(p.spans); i += 2 {
		args = append(args, b[p.spans[i]:p.spans[i+1]:p.spans[i+1]])
	}
	n = p.pos
	p.pos, p.spans = 0, p.spans[:0]
	return args, n, nil
}

// begin reads the "*<n>" line.
func (p *Parser) begin(b []byte) (done bool, err error) {
	end := bytes.IndexByte(b, '\r')
	if end < 0 {
		if len(b) > MaxInline {
			return false, ProtocolError("Protocol error: too big mbulk count string")
		}
		return false, nil
	}
	if end+2 > len(b) {
		return false, nil
	}
	count, ok := parseInt(b[1:end])
	if !ok || count > MaxArgs {
		return false, ProtocolError("Protocol error: invalid multibulk length")
	}
	if count > MaxArgsUnauth && p.Unauthenticated {
		return false, ProtocolError("Protocol error: unauthenticated multibulk length")
	}
	p.pos = end + 2
	p.left = max(0, int(count))
	p.bulkLen = -1
	if p.spans == nil {
		p.spans = make([]int, 0, 2*min(p.left, initialArgsHint))
	}
	return true, nil
}

// bulks reads the "$<len>" lines and what follows them until none is left.
func (p *Parser) bulks(b []byte) (done bool, err error) {
	for p.left > 0 {
		if p.bulkLen < 0 {
			rest := b[min(p.pos, len(b)):]
			end := bytes.IndexByte(rest, '\r')
			if end < 0 {
				if len(rest) > MaxInline {
					return false, ProtocolError("Protocol error: too big bulk count string")
				}
				return false, nil
			}
			if end+2 > len(rest) {
				return false, nil
			}
			if rest[0] != '$' {
				return false, ProtocolError("Protocol error: expected '$', got '" + printable(rest[0]) + "'")
			}
			n, ok := parseInt(rest[1:end])
			if !ok || n < 0 || n > int64(p.maxBulk()) {
				return false, ProtocolError("Protocol error: invalid bulk length")
			}
			if n > MaxBulkUnauth && p.Unauthenticated {
				return false, ProtocolError("Protocol error: unauthenticated bulk length")
			}
			p.bulkLen = int(n)
			p.pos += end + 2
		}
		if p.pos+p.bulkLen+2 > len(b) {
			return false, nil
		}
		p.spans = append(p.spans, p.pos, p.pos+p.bulkLen)
		p.pos += p.bulkLen + 2
		p.bulkLen = -1
		p.left--
	}
	return true, nil
}

// Missing is the least number of bytes that the unfinished request in b still
// lacks, 0 when that is not known. It lets a reader make room once for a large
// argument.
func (p *Parser) Missing(b []byte) int {
	if p.left == 0 || p.bulkLen < 0 {
		return 0
	}
	return max(0, p.pos+p.bulkLen+2-len(b))
}

func (p *Parser) maxBulk() int {
	if p.MaxBulk > 0 {
		return p.MaxBulk
	}
	return MaxBulk
}

// inline reads a line of words, quoted as redis-cli quotes them.
func (p *Parser) inline(b []byte, args [][]byte) (_ [][]byte, n int, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > MaxInline {
			return args, 0, ProtocolError("Protocol error: too big inline request")
		}
		return args, 0, nil
	}
	line := b[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	words, ok := SplitWords(line)
	if !ok {
		return args, 0, ProtocolError("Protocol error: unbalanced quotes in request")
	}
	return append(args, words...), end + 1, nil
}

// SplitWords splits a line into words by the quoting rules of Redis's inline
// requests, configuration file and manifest: "…" with \n \r \t \a \b \xHH and
// \<any>, '…' with \' only. ok is false when a quote is not closed, or not
// followed by a space.
func SplitWords(line []byte) (words [][]byte, ok bool) {
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i == len(line) || line[i] == 0 {
			return words, true
		}
		word, next, ok := splitWord(line, i)
		if !ok {
			return nil, false
		}
		words, i = append(words, word), next
	}
}

// splitWord reads the word that begins at i.
func splitWord(line []byte, i int) (word []byte, next int, ok bool) {
	word = []byte{}
	quote := byte(0)
	for i < len(line) {
		c := line[i]
		switch {
		case quote == '"' && c == '\\' && i+3 < len(line) && line[i+1] == 'x' && isHex(line[i+2]) && isHex(line[i+3]):
			v, _ := strconv.ParseUint(string(line[i+2:i+4]), 16, 8)
			word = append(word, byte(v))
			i += 4
		case quote == '"' && c == '\\' && i+1 < len(line):
			word = append(word, unescape(line[i+1]))
			i += 2
		case quote == '\'' && c == '\\' && i+1 < len(line) && line[i+1] == '\'':
			word = append(word, '\'')
			i += 2
		case quote != 0 && c == quote:
			if i+1 < len(line) && !isSpace(line[i+1]) {
				return nil, 0, false
			}
			return word, i + 1, true
		case quote != 0:
			word = append(word, c)
			i++
		case isSpace(c) || c == 0:
			return word, i, true
		case c == '"' || c == '\'':
			quote = c
			i++
		default:
			word = append(word, c)
			i++
		}
	}
	return word, i, quote == 0
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func printable(c byte) string {
	return string([]byte{c})
}

// parseInt reads a decimal as Redis's string2ll does: no sign but '-', no
// leading zeros, nothing around it.
func parseInt(b []byte) (int64, bool) { return ParseInt(b) }

// ParseInt reads the canonical decimal text of an int64: an optional '-', no
// leading zeros, no spaces. It is the rule by which Redis decides whether a
// string is an integer.
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	i := 0
	negative := b[0] == '-'
	if negative {
		i = 1
		if len(b) == 1 {
			return 0, false
		}
	}
	if b[i] == '0' {
		return 0, len(b) == 1
	}
	var v uint64
	for ; i < len(b); i++ {
		d := b[i] - '0'
		if d > 9 {
			return 0, false
		}
		if v > (1<<63)/10 {
			return 0, false
		}
		v = v*10 + uint64(d)
		if v > 1<<63 {
			return 0, false
		}
	}
	switch {
	case negative:
		return -int64(v), true // -(1<<63) is its own negation
	case v == 1<<63:
		return 0, false
	}
	return int64(v), true
}
