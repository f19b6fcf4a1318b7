package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"limpet"
	"limpet/internal/conf"
	"limpet/server"
)

// What redis.conf says, turned into a store that runs: for `limpet store` and for
// the name redis-server.

// storeSettings are a configuration that has been read and holds together.
type storeSettings struct {
	*conf.Settings
	file        string // path of the configuration file, "" when there is none
	stdin       string // what was read from standard input
	anyPort     bool   // the system chooses the port
	unprotected bool   // protected mode is off, whatever the configuration says
	level       *slog.LevelVar
}

// readSettings reads a configuration: the built-in one, the file, standard input,
// variables and options. The error is a *conf.Error or a *conf.FileError.
func readSettings(p conf.Parser, args conf.Args, base, environment string) (*storeSettings, error) {
	read := &storeSettings{level: new(slog.LevelVar)}
	var sources []conf.Source
	if args.File != "" {
		path, err := filepath.Abs(args.File)
		if err != nil {
			return nil, &conf.FileError{Path: args.File, Err: err}
		}
		files, err := p.Load(path)
		if err != nil {
			return nil, err
		}
		if sources = files; len(files) > 0 {
			read.file = files[0].Name
		}
	}
	if args.Stdin {
		text, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, &conf.FileError{Path: conf.Stdin, Err: err}
		}
		read.stdin = string(text)
		sources = append(sources, conf.Source{Name: conf.Stdin, Text: read.stdin})
	}
	if environment != "" {
		sources = append(sources, conf.Source{Name: "the environment", Text: environment})
	}
	if args.Options != "" {
		sources = append(sources, conf.Source{Name: conf.CommandLine, Text: args.Options})
	}
	p.BuiltIn = base
	var err error
	if read.Settings, err = p.Parse(sources...); err != nil {
		return nil, err
	}
	read.level.Set(slogLevels[read.Get("loglevel")])
	return read, nil
}

// at is a path of the configuration: relative ones begin at dir.
func (s *storeSettings) at(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.Get("dir"), path)
}

// tellMissing says once what the configuration asks for in vain.
func (s *storeSettings) tellMissing(logger *slog.Logger) {
	if missing := s.Missing(); len(missing) > 0 {
		logger.Warn("settings that are known but not implemented: " + strings.Join(missing, ", "))
	}
}

// serve opens the store and lets clients in through doors that are open already.
func (s *storeSettings) serve(doors doors, logger *slog.Logger) (*embedded, error) {
	policy, err := limpet.ParsePolicy(s.Get("appendfsync"))
	if err != nil {
		doors.close()
		return nil, failf(exitUsage, "%s", err)
	}
	points, err := limpet.ParseSavePoints(s.Get("save"))
	if err != nil {
		doors.close()
		return nil, failf(exitUsage, "save: %s", err)
	}
	e, err := openStore(s.Get("dir"), limpet.Options{
		Fsync: policy, Logger: logger,
		RewritePercentage: orMinusOne(s.number("auto-aof-rewrite-percentage")),
		RewriteMinSize:    max(1, s.Int("auto-aof-rewrite-min-size")),
		RefuseTruncated:   !s.Bool("aof-load-truncated"),
		Timestamps:        s.Bool("aof-timestamp-enabled"),
		AppendDirName:     s.Get("appenddirname"), AppendFileName: s.Get("appendfilename"), DBFileName: s.Get("dbfilename"),
		KeepOld:          s.Bool("aof-disable-auto-gc"),
		NoAppendOnly:     !s.Bool("appendonly"),
		RESPBase:         !s.Bool("aof-use-rdb-preamble"),
		SavePoints:       points,
		IgnoreSaveErrors: !s.Bool("stop-writes-on-bgsave-error"),
		Password:         s.Get("requirepass"),
		Databases:        s.number("databases"),
		MaxBulk:          s.number("proto-max-bulk-len"),
		Packing: limpet.Packing{
			HashEntries: orMinusOne(s.number("hash-max-listpack-entries")), HashValue: orMinusOne(s.number("hash-max-listpack-value")),
			SetInts:     orMinusOne(s.number("set-max-intset-entries")),
			ZSetEntries: orMinusOne(s.number("zset-max-listpack-entries")), ZSetValue: orMinusOne(s.number("zset-max-listpack-value")),
			ListNode: s.number("list-max-listpack-size"), StreamNode: orMinusOne(s.number("stream-node-max-entries")),
		},
		Renamed: s.Renamed,
	}, server.Options{
		MaxClients: s.number("maxclients"), IdleTimeout: s.seconds("timeout"), KeepAlive: keepAlive(s.Int("tcp-keepalive")),
		Protected: s.Bool("protected-mode") && !s.unprotected, Logger: logger,
	})
	if err != nil {
		doors.close()
		return nil, err
	}
	e.db.SetConfigFile(s.file)
	e.db.Configure(s.forConfig(e.server)...)
	e.letIn(doors.listeners()...)
	return e, nil
}

func (s *storeSettings) number(name string) int { return int(s.Int(name)) }

func (s *storeSettings) seconds(name string) time.Duration {
	return time.Duration(s.Int(name)) * time.Second
}

// orMinusOne is how the library's options say 0, where their 0 is the default.
func orMinusOne(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// keepAlive is tcp-keepalive in the server's terms.
func keepAlive(seconds int64) time.Duration {
	if seconds == 0 {
		return -1
	}
	return time.Duration(seconds) * time.Second
}

// forConfig are the settings of CONFIG that are not the engine's own.
func (s *storeSettings) forConfig(srv *server.Server) []limpet.Setting {
	change := map[string]func(value string){
		"maxclients":     func(string) { srv.SetMaxClients(s.number("maxclients")) },
		"timeout":        func(string) { srv.SetIdleTimeout(s.seconds("timeout")) },
		"tcp-keepalive":  func(string) { srv.SetKeepAlive(keepAlive(s.Int("tcp-keepalive"))) },
		"protected-mode": func(v string) { srv.SetProtected(v == "yes") },
		"loglevel":       func(v string) { s.level.Set(slogLevels[v]) },
	}
	var settings []limpet.Setting
	for _, name := range []string{
		"always-show-logo", "bind", "daemonize", "ignore-warnings", "logfile", "loglevel", "maxclients", "pidfile", "port",
		"protected-mode", "supervised", "tcp-backlog", "tcp-keepalive", "timeout", "tls-auth-clients", "tls-ca-cert-dir",
		"tls-ca-cert-file", "tls-cert-file", "tls-key-file", "tls-port", "tls-protocols", "unixsocket", "unixsocketperm",
	} {
		setting := limpet.Setting{Name: name, Get: func() string { return s.Get(name) }}
		if apply := change[name]; apply != nil {
			setting.Set = func(value string) error {
				if err := s.Set(name, value); err != nil {
					return err
				}
				apply(s.Get(name))
				return nil
			}
		}
		settings = append(settings, setting)
	}
	return settings
}

// explainDoor says what to do about a door that does not open.
func (s *storeSettings) explainDoor(err error) error {
	var door *doorError
	if !errors.As(err, &door) {
		return failf(exitLocal, "%s", err).with("Nothing has been changed.")
	}
	f := failf(exitLocal, "cannot listen on %s: %s", door.addr, reason(door.err))
	switch {
	case errors.Is(door.err, syscall.EADDRINUSE) && door.port != 0:
		return f.with("Another program has this port: perhaps limpet or a Redis that runs already. Nothing has been changed.").
			with("who:    ss -ltnp 'sport = :%d'", door.port).
			with("else:   choose another with --store-addr HOST:PORT or --port PORT")
	case errors.Is(door.err, syscall.EACCES) && door.port != 0:
		return f.with("Ports below 1024 need privileges. Choose another with --store-addr HOST:PORT or --port PORT.")
	}
	return f.with("Nothing has been changed.")
}

// logTarget is where the log goes: the file of the configuration, else a
// standard one. That file is opened for each line, so that whoever turns logs
// over needs to tell nobody.
func (s *storeSettings) logTarget(standard *os.File) (io.Writer, error) {
	if s.Get("logfile") == "" {
		return standard, nil
	}
	target := logFile(s.at(s.Get("logfile")))
	_, err := target.Write(nil)
	return target, err
}

// logFile appends each line to the file that has a name at that moment.
type logFile string

func (path logFile) Write(line []byte) (int, error) {
	f, err := os.OpenFile(string(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	n, err := f.Write(line)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return n, err
}

// defaultPIDFile is where the process id is written to when a server in the
// background is not told where.
const defaultPIDFile = "/var/run/redis.pid"

// writePIDFile writes the process id where the configuration asks for it, and
// gives what removes it again. That it cannot be written ends nothing.
func (s *storeSettings) writePIDFile(logger *slog.Logger) (remove func()) {
	path := s.Get("pidfile")
	if path == "" && detached {
		path = defaultPIDFile
	}
	if path == "" {
		return func() {}
	}
	path = s.at(path)
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		logger.Warn("the pid file could not be written", "file", path, "error", reason(err))
		return func() {}
	}
	return func() { _ = os.Remove(path) }
}

// tellSupervisor sends a state to systemd, where the configuration says that it
// is there (sd_notify's protocol: one datagram).
func (s *storeSettings) tellSupervisor(state string) {
	if !s.supervised() {
		return
	}
	socket := os.Getenv("NOTIFY_SOCKET")
	if strings.HasPrefix(socket, "@") {
		socket = "\x00" + socket[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = fmt.Fprint(c, state)
}

// supervised tells whether systemd waits for a word.
func (s *storeSettings) supervised() bool {
	mode := s.Get("supervised")
	return (mode == "systemd" || mode == "auto") && os.Getenv("NOTIFY_SOCKET") != ""
}
