package cli

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"limpet/resp"
)

// session is a connection with what redis-cli remembers of it. It is for one
// goroutine.
type session struct {
	program Program
	out     *bufio.Writer
	o       *options

	c           *conn // nil when there is none
	wantDB      int   // chosen by -n or SELECT
	db          int   // where the connection is
	inMulti     bool
	beforeMulti int  // database before the open MULTI
	resp3       bool // what the connection speaks

	interactive bool // lines are read, from a terminal or not
}

// volume says whether a failure to connect is told.
type volume bool

const (
	quietly volume = false
	loudly  volume = true
)

var (
	errAuth   = errors.New("AUTH failed")
	errSelect = errors.New("SELECT failed")
)

// connect makes a new connection in place of the one there is. After errAuth
// there is a connection: a server without passwords is none the worse. There is
// none when the database cannot be selected, so that nothing is written to
// another one, as Redis's own redis-cli would.
func (s *session) connect(v volume) (err error) {
	s.disconnect()
	if s.c, err = dial(s.o); err != nil {
		s.c = nil
		if v == loudly {
			s.warnf("Could not connect to Redis at %s: %s\n", s.o.address(), reason(err))
		}
		return err
	}
	authErr := s.authenticate()
	if err = s.selectDB(); err == nil {
		err = s.speakResp3()
	}
	if err != nil {
		s.disconnect()
		return err
	}
	if s.o.pushes {
		s.c.push = s.showPush
	}
	return authErr
}

func (s *session) disconnect() {
	if s.c != nil {
		_ = s.c.Close()
	}
	s.c, s.db, s.inMulti, s.resp3 = nil, 0, false, false
}

func (o *options) address() string {
	if o.socket != "" {
		return o.socket
	}
	return fmt.Sprintf("%s:%d", o.host, o.port)
}

// ask sends a command of our own. An error of the connection has been told.
func (s *session) ask(args ...string) (resp.Value, error) {
	v, err := s.c.do(args...)
	if err != nil {
		s.warnf("\nI/O error\n")
	}
	return v, err
}

func (s *session) authenticate() error {
	if !s.o.hasAuth {
		return nil
	}
	args := []string{"AUTH", s.o.auth}
	if s.o.user != "" {
		args = []string{"AUTH", s.o.user, s.o.auth}
	}
	v, err := s.ask(args...)
	if err == nil && v.Err() != nil {
		s.warnf("AUTH failed: %s\n", v.Str)
		err = errAuth
	}
	return err
}

func (s *session) selectDB() error {
	if s.wantDB == s.db {
		return nil
	}
	v, err := s.ask("SELECT", strconv.Itoa(s.wantDB))
	if err != nil {
		return err
	}
	if v.Err() != nil {
		s.warnf("SELECT %d failed: %s\n", s.wantDB, v.Str)
		return errSelect
	}
	s.db = s.wantDB
	return nil
}

func (s *session) speakResp3() error {
	if !s.o.resp3 {
		return nil
	}
	v, err := s.ask("HELLO", "3")
	if err != nil {
		return err
	}
	if v.Err() != nil {
		s.warnf("HELLO 3 failed: %s\n", v.Str)
		if s.o.mustResp3 {
			return v.Err()
		}
		return nil
	}
	s.resp3 = true
	return nil
}

// showPush prints an out-of-band message where it arrives.
func (s *session) showPush(v resp.Value) {
	if s.o.form == formTerminal && len(v.Elems) == 2 && strings.HasPrefix(string(v.Elems[0].Str), "invalidate") &&
		v.Elems[1].Kind == resp.ArrayReply {
		var keys []string
		for _, key := range v.Elems[1].Elems {
			keys = append(keys, "'"+string(key.Str)+"'")
		}
		s.printf("-> invalidate: %s\n", strings.Join(keys, ", "))
		return
	}
	s.printf("%s", s.o.format(v, false))
}

// prompt is like 127.0.0.1:6379[3](TX)>.
func (s *session) prompt() string {
	if s.c == nil {
		return "not connected> "
	}
	p := net.JoinHostPort(s.o.host, strconv.Itoa(s.o.port))
	if s.o.socket != "" {
		p = "redis " + s.o.socket
	}
	if s.db != 0 {
		p += fmt.Sprintf("[%d]", s.db)
	}
	if s.inMulti {
		p += "(TX)"
	}
	return p + "> "
}

// patiently asks over and over, connecting anew when the server went away, which
// is what the modes do that run for ever. The server's refusal is the caller's.
func (s *session) patiently(args ...string) (resp.Value, error) {
	for tries := 0; ; {
		if s.c != nil {
			v, err := s.c.do(args...)
			if err == nil && tries > 0 {
				s.printf("\r\x1b[0K")
			}
			if err == nil {
				return v, nil
			}
			if !lost(err) {
				s.warnf("Error: %s\n", reason(err))
				return v, exit(1)
			}
		}
		tries++
		s.printf("\r\x1b[0KReconnecting... %d\r", tries)
		if err := s.out.Flush(); err != nil {
			return resp.Value{}, exit(1)
		}
		if err := s.connect(quietly); err != nil {
			time.Sleep(time.Second)
		}
	}
}
