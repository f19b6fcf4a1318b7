package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"limpet/resp"
)

// The data sets: request i of n, and the length of the reply to it.
type dataset struct {
	name    string
	request func(dst []byte, i int) []byte
	reply   int // bytes
}

var smallStrings = dataset{"small strings", func(dst []byte, i int) []byte {
	return appendRequest(dst, "SET", number("key:", i), number("value-", i))
}, len("+OK\r\n")}

var smallHashes = dataset{"small hashes", func(dst []byte, i int) []byte {
	return appendRequest(dst, "HSET", number("hash:", i), "name", number("n", i), "age", "42", "city", "Berlin")
}, len(":3\r\n")}

func number(prefix string, i int) string { return fmt.Sprintf("%s%012d", prefix, i) }

func appendRequest(dst []byte, args ...string) []byte {
	dst = resp.AppendArrayHeader(dst, len(args))
	for _, a := range args {
		dst = append(dst, '$')
		dst = strconv.AppendInt(dst, int64(len(a)), 10)
		dst = append(dst, "\r\n"...)
		dst = append(dst, a...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// pipelined is how many requests of a fill are under way at a time.
const pipelined = 2000

// fill sends n requests of a data set.
func (p *process) fill(d dataset, n int) error {
	c, err := net.Dial("tcp", p.addr())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var buf []byte
	for begin := 0; begin < n; begin += pipelined {
		end := min(n, begin+pipelined)
		buf = buf[:0]
		for i := begin; i < end; i++ {
			buf = d.request(buf, i)
		}
		if _, err := c.Write(buf); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c, int64((end-begin)*d.reply)); err != nil {
			return fmt.Errorf("%s: fill: %w", p.name, err)
		}
	}
	return nil
}

// writeLog writes a data set as a plain append-only log of commands, in the
// directory form that Redis 7 has.
func writeLog(dir string, d dataset, n int) (err error) {
	if err := os.MkdirAll(filepath.Join(dir, "appendonlydir"), 0o755); err != nil {
		return err
	}
	manifest := filepath.Join(dir, "appendonlydir", "appendonly.aof.manifest")
	if err := os.WriteFile(manifest, []byte("file appendonly.aof.1.incr.aof seq 1 type i\n"), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "appendonlydir", "appendonly.aof.1.incr.aof"))
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	request := appendRequest(nil, "SELECT", "0")
	for i := range n {
		if _, err := w.Write(request); err != nil {
			return err
		}
		request = d.request(request[:0], i)
	}
	if _, err := w.Write(request); err != nil {
		return err
	}
	return w.Flush()
}
