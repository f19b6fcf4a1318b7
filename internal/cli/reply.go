package cli

import (
	"bufio"
	"bytes"
	"io"
	"strconv"

	"limpet/resp"
)

const (
	maxDepth  = 128
	maxShort  = 64 << 10 // bytes of a line
	allocStep = 1 << 20  // memory that a claimed length gets before its bytes come
	maxClaim  = 1 << 40  // bytes or elements; no server has more
)

// readReply reads one reply from a stream. resp.Decode wants all of its bytes
// first, and would begin anew with each piece of a large one. Numbers keep their
// text in Str, since that is how redis-cli shows them.
func readReply(r *bufio.Reader) (resp.Value, error) { return readNested(r, 0) }

func readNested(r *bufio.Reader, depth int) (v resp.Value, err error) {
	if depth > maxDepth {
		return v, complainf("Protocol error, replies nested deeper than %d", maxDepth)
	}
	line, err := readLine(r)
	if err != nil {
		return v, err
	}
	if len(line) == 0 {
		return v, complainf("Protocol error, got an empty line as reply")
	}
	v.Kind = resp.Kind(line[0])
	text := line[1:]
	switch v.Kind {
	case resp.SimpleString, resp.ErrorReply, resp.DoubleReply, resp.BigNumber:
		v.Str = bytes.Clone(text)
		return v, nil
	case resp.NullReply:
		return v, nil
	case resp.BoolReply:
		if string(text) == "t" {
			v.Int = 1
		}
		return v, nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return v, unknownKind(line[0])
	}
	if v.Kind == resp.Integer {
		v.Int = n
		return v, nil
	}
	if n > maxClaim {
		return v, complainf("Bulk string length out of range")
	}
	switch v.Kind {
	case resp.BulkString, resp.VerbatimText:
		return readBulk(r, v, n)
	case resp.MapReply:
		n *= 2
	case resp.ArrayReply, resp.SetReply, resp.PushReply:
	default:
		return v, unknownKind(line[0])
	}
	if n < 0 {
		return resp.Value{Kind: resp.NullReply}, nil
	}
	v.Elems = make([]resp.Value, 0, min(n, 1024))
	for range n {
		e, err := readNested(r, depth+1)
		if err != nil {
			return v, err
		}
		v.Elems = append(v.Elems, e)
	}
	return v, nil
}

func unknownKind(b byte) error {
	return complainf("Protocol error, got %q as reply type byte", string([]byte{b}))
}

// readLine reads up to CRLF; the line is good until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return nil, complainf("Protocol error, a line of more than %d bytes", maxShort)
	}
	if err != nil {
		if len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

func readBulk(r *bufio.Reader, v resp.Value, n int64) (resp.Value, error) {
	if n < 0 {
		return resp.Value{Kind: resp.NullReply}, nil
	}
	var b bytes.Buffer
	b.Grow(int(min(n+2, allocStep)))
	if _, err := io.CopyN(&b, r, n+2); err != nil {
		return v, io.ErrUnexpectedEOF
	}
	v.Str = b.Bytes()[:n]
	if v.Kind == resp.VerbatimText && n >= 4 {
		v.Str = v.Str[4:] // without the format
	}
	return v, nil
}
