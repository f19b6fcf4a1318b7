package aof

import (
	"strconv"
	"time"
)

// AppendCommand appends a command in the log's form, a RESP array of bulk strings:
//
//	*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n
func AppendCommand[T ~string | ~[]byte](dst []byte, args ...T) []byte {
	dst = appendHeader(dst, '*', len(args))
	for _, arg := range args {
		dst = appendHeader(dst, '$', len(arg))
		dst = append(append(dst, arg...), '\r', '\n')
	}
	return dst
}

func appendHeader(dst []byte, kind byte, n int) []byte {
	dst = strconv.AppendInt(append(dst, kind), int64(n), 10)
	return append(dst, '\r', '\n')
}

// AppendTimestamp appends the annotation that dates what follows it, in whole
// seconds (Redis's aof-timestamp-enabled):
//
//	#TS:1767323045\r\n
//
// It must stand outside MULTI, and times must not go back.
func AppendTimestamp(dst []byte, t time.Time) []byte {
	dst = strconv.AppendInt(append(dst, "#TS:"...), t.Unix(), 10)
	return append(dst, '\r', '\n')
}
