package cli

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"limpet/resp"
)

// pipe sends standard input as it is, which should be Redis's protocol, and
// counts the replies. Behind the end it sends an ECHO of its own: its reply is
// the last one.
func (s *session) pipe() error {
	const magicSize = 20
	magic := make([]byte, magicSize)
	_, _ = rand.Read(magic) // never fails

	var sent atomic.Bool // everything, with the ECHO
	failed := make(chan error, 1)
	c := s.c
	go func() {
		_, err := io.Copy(onlyWriter{c}, s.program.In)
		if err == nil {
			// An empty line first, in case the input has broken off in one.
			_, err = c.Write(append([]byte("\r\n"), resp.AppendCommand(nil, []byte("ECHO"), magic)...))
		}
		if err == nil {
			sent.Store(true)
			s.extend(c)
		}
		failed <- err
		if err != nil {
			_ = c.Close() // which ends the reading
		}
	}()

	var errorReplies, replies int64
	finish := func() error {
		s.printf("errors: %d, replies: %d\n", errorReplies, replies)
		if errorReplies > 0 {
			return exit(1)
		}
		return nil
	}
	for told := false; ; {
		v, err := s.c.receive()
		last := err == nil && v.Kind == resp.BulkString && string(v.Str) == string(magic)
		if (last || sent.Load()) && !told {
			told = true
			s.printf("All data transferred. Waiting for the last reply...\n")
			_ = s.out.Flush()
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.warnf("No replies for %d seconds: exiting.\n", int(s.o.pipeTimeout.Seconds()))
			errorReplies++
			return finish()
		case err != nil:
			select {
			case sendErr := <-failed:
				if sendErr != nil {
					s.warnf("Error writing to the server: %s\n", reason(sendErr))
					return exit(1)
				}
			default:
			}
			s.warnf("Error reading replies from server\n")
			return exit(1)
		case v.Err() != nil:
			s.warnf("%s\n", v.Str)
			errorReplies++
		case last:
			s.printf("Last reply received from server.\n")
			return finish()
		}
		replies++
		if sent.Load() {
			s.extend(c)
		}
	}
}

// extend gives the server time for the next reply.
func (s *session) extend(c *conn) {
	if s.o.pipeTimeout > 0 {
		_ = c.SetReadDeadline(time.Now().Add(s.o.pipeTimeout))
	}
}

// onlyWriter hides the methods by which io.Copy would go round Write.
type onlyWriter struct{ io.Writer }
