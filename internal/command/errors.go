package command

import (
	"bytes"
	"strings"
)

// The wire errors of redis-server 7.0.15, byte for byte.
const (
	errBusyKey         = "BUSYKEY Target key name already exists."
	errWrongType       = "WRONGTYPE Operation against a key holding the wrong kind of value"
	errSyntax          = "ERR syntax error"
	errNotInteger      = "ERR value is not an integer or out of range"
	errNotFloat        = "ERR value is not a valid float"
	errOutOfRange      = "ERR index out of range"
	errOffsetRange     = "ERR offset is out of range"
	errBitOffset       = "ERR bit offset is not an integer or out of range"
	errBitValue        = "ERR bit is not an integer or out of range"
	errNoSuchKey       = "ERR no such key"
	errOverflow        = "ERR increment or decrement would overflow"
	errNaNOrInfinity   = "ERR increment would produce NaN or Infinity"
	errStringTooLong   = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errPositive        = "ERR value is out of range, must be positive"
	errInvalidCursor   = "ERR invalid cursor"
	errNoAuth          = "NOAUTH Authentication required."
	errWrongPass       = "WRONGPASS invalid username-password pair or user is disabled."
	errNoScript        = "NOSCRIPT No matching script. Please use EVAL."
	errNestedMulti     = "ERR MULTI calls can not be nested"
	errExecNoMulti     = "ERR EXEC without MULTI"
	errDiscardNoMulti  = "ERR DISCARD without MULTI"
	errWatchInMulti    = "ERR WATCH inside MULTI is not allowed"
	errExecAborted     = "EXECABORT Transaction discarded because of previous errors."
	errDBIndexRange    = "ERR DB index is out of range"
	errNotFromScript   = "ERR This Redis command is not allowed from script"
	errMinMaxFloat     = "ERR min or max is not a float"
	errMinMaxLex       = "ERR min or max not valid string range item"
	errHashNotInteger  = "ERR hash value is not an integer"
	errHashNotFloat    = "ERR hash value is not a float"
	errStreamIDInvalid = "ERR Invalid stream ID specified as stream command argument"
)

func errArity(name string) string {
	return "ERR wrong number of arguments for '" + name + "' command"
}

func errInvalidExpire(name string) string {
	return "ERR invalid expire time in '" + name + "' command"
}

// errUnknown quotes the name and the beginning of the arguments, at most 128
// bytes of each, as Redis does.
func errUnknown(args [][]byte) string {
	var b strings.Builder
	b.WriteString("ERR unknown command '")
	b.Write(clip(cstring(args[0]), 128))
	b.WriteString("', with args beginning with: ")
	quoted := 0
	for _, a := range args[1:] {
		if quoted >= 128 {
			break
		}
		shown := clip(cstring(a), 128-quoted)
		b.WriteByte('\'')
		b.Write(shown)
		b.WriteString("' ")
		quoted += len(shown) + 3
	}
	return b.String()
}

func errUnknownSub(parent string, word []byte) string {
	return "ERR unknown subcommand '" + string(clip(cstring(word), 128)) + "'. Try " + strings.ToUpper(parent) + " HELP."
}

func clip(b []byte, n int) []byte { return b[:min(len(b), n)] }

// cstring is b as C's printf shows it: up to a zero byte.
func cstring(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
