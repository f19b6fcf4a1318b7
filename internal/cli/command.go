package cli

import (
	"errors"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"limpet/resp"
)

// errNotSent says that there was no connection; why has been told.
var errNotSent = errors.New("not sent")

// issue sends a command, as often as is asked for, and prints the replies. It is
// never sent a second time by itself: what happened to it is not known when the
// connection breaks under it.
func (s *session) issue(args []string, repeat int64) error {
	if s.c == nil {
		if _ = s.connect(loudly); s.c == nil {
			return errNotSent
		}
	}
	err := s.interruptible(isListening(args), func() error { return s.send(args, repeat) })
	if err != nil && lost(err) {
		s.warnf("Error: %s\n", reason(err))
		s.disconnect()
		return errNotSent
	}
	return err
}

// isListening tells whether what follows a command has no end.
func isListening(args []string) bool {
	switch strings.ToLower(args[0]) {
	case "monitor", "subscribe", "psubscribe", "ssubscribe":
		return true
	}
	return false
}

// interruptible lets ^C end what the session waits for: back to the prompt from
// what has no end, out of the program from anything else.
func (s *session) interruptible(endless bool, run func() error) error {
	if !s.interactive {
		return run()
	}
	signals, done, gone := make(chan os.Signal, 1), make(chan struct{}), make(chan struct{})
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)
	var interrupted atomic.Bool
	c := s.c
	go func() {
		defer close(gone)
		select {
		case <-signals:
			interrupted.Store(true)
			_ = c.Close() // which ends the read
		case <-done:
		}
	}()
	err := run()
	close(done)
	<-gone
	switch {
	case !interrupted.Load():
		return err
	case endless:
		_ = s.connect(loudly)
		return nil
	}
	return exit(1)
}

// madeForPeople are the commands whose reply is a text that is shown as it is.
func madeForPeople(args []string) bool {
	word := func(i int) string {
		if i < len(args) {
			return strings.ToLower(args[i])
		}
		return ""
	}
	switch word(0) {
	case "info", "lolwut":
		return true
	case "debug":
		return slices.Contains([]string{"htstats", "htstats-key", "client-eviction"}, word(1))
	case "memory":
		return word(1) == "malloc-stats" || word(1) == "doctor"
	case "cluster":
		return len(args) == 2 && (word(1) == "nodes" || word(1) == "info")
	case "client":
		return word(1) == "list" || word(1) == "info"
	case "latency":
		return len(args) == 3 && word(1) == "graph" || len(args) == 2 && word(1) == "doctor"
	case "proxy":
		return word(1) == "info"
	}
	return false
}

func (s *session) send(args []string, repeat int64) error {
	plain := madeForPeople(args)
	for ; repeat != 0; repeat-- {
		s.c.send(args...)
		var err error
		switch name := strings.ToLower(args[0]); {
		case name == "monitor":
			return s.listen(plain)
		case isListening(args):
			if s.o.form != formRaw {
				s.printf("Reading messages... (press Ctrl-C to quit)\n")
			}
			s.c.push = nil // messages are the replies now
			err = s.listen(plain)
			if s.o.pushes && s.c != nil {
				s.c.push = s.showPush
			}
		case name == "shutdown":
			err = s.shutDown()
		default:
			var v resp.Value
			if v, err = s.show(plain); err == nil {
				err = s.follow(name, args, v)
			}
		}
		if err != nil || s.c == nil {
			return err
		}
		if s.o.interval > 0 {
			_ = s.out.Flush()
			time.Sleep(s.o.interval)
		}
	}
	return nil
}

// listen shows replies until one is an error.
func (s *session) listen(plain bool) error {
	for {
		v, err := s.show(plain)
		if err != nil || v.Err() != nil {
			return err
		}
	}
}

// shutDown shows the reply, which there is when the server goes on.
func (s *session) shutDown() error {
	v, err := s.c.receive()
	if err != nil {
		s.disconnect()
		return nil
	}
	s.printf("%s", s.o.format(v, false))
	return nil
}

// show reads a reply and prints it. Without a user at a prompt, a connection
// that breaks ends the program.
func (s *session) show(plain bool) (resp.Value, error) {
	_ = s.out.Flush()
	v, err := s.c.receive()
	if err != nil {
		if s.interactive && lost(err) {
			return v, err
		}
		s.warnf("Error: %s\n", reason(err))
		return v, exit(1)
	}
	if s.o.errorCode && !s.interactive && v.Err() != nil {
		s.warnf("%s\n", v.Str)
		return v, exit(1)
	}
	s.printf("%s", s.o.format(v, plain))
	return v, s.out.Flush()
}

// follow keeps in mind what a command has done to the connection.
func (s *session) follow(name string, args []string, v resp.Value) error {
	failed := v.Err() != nil
	switch {
	case name == "hello":
		if v.Kind == resp.MapReply || v.Kind == resp.ArrayReply {
			s.resp3 = v.Kind == resp.MapReply
		}
	case name == "select" && len(args) == 2 && !failed:
		if n, err := strconv.Atoi(args[1]); err == nil {
			s.db, s.wantDB = n, n
		}
	case name == "auth" && (len(args) == 2 || len(args) == 3):
		return ignoring(s.selectDB(), errSelect)
	case name == "multi" && len(args) == 1 && !failed:
		s.inMulti, s.beforeMulti = true, s.db
	case name == "exec" && len(args) == 1 && s.inMulti:
		s.inMulti = false
		if failed || v.IsNull() {
			s.db, s.wantDB = s.beforeMulti, s.beforeMulti
		}
	case name == "discard" && len(args) == 1 && !failed:
		s.inMulti = false
		s.db, s.wantDB = s.beforeMulti, s.beforeMulti
	case name == "reset" && len(args) == 1 && !failed:
		s.inMulti, s.resp3 = false, false
		s.db, s.wantDB = 0, 0
	}
	return nil
}

func ignoring(err, known error) error {
	if errors.Is(err, known) {
		return nil
	}
	return err
}
