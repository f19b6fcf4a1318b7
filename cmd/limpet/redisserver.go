package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"limpet/internal/conf"
)

// The program by the name of redis-server: its arguments, its log, its signals,
// its exit codes.

const redisServerUsage = `Usage: ./redis-server [/path/to/redis.conf] [options] [-]
       ./redis-server - (read config from stdin)
       ./redis-server -v or --version
       ./redis-server -h or --help

An option is any directive of redis.conf: --port 7777 --appendfsync always.
This is Limpet's store. docs/store.md tells where it differs from Redis.
`

// redisServer runs until a signal or SHUTDOWN ends it, and gives the exit code.
func redisServer(argv []string, t terminal) int {
	if len(argv) > 0 {
		switch argv[0] {
		case "-v", "--version":
			_, _ = fmt.Fprintf(t.out, "Redis server v=%s sha=00000000:0 malloc=go bits=64 build=limpet-%s\n", conf.Version, version)
			return 0
		case "-h", "--help":
			_, _ = io.WriteString(t.err, redisServerUsage)
			return 1
		case "--test-memory", "--check-system":
			_, _ = fmt.Fprintf(t.err, "%s is not implemented\n", argv[0])
			return 1
		}
	}
	s, err := redisServerSettings(argv)
	if err == nil && s.inBackground() {
		err = s.goToBackground()
		if err == nil {
			return 0
		}
	}
	out := io.Writer(t.out)
	if err == nil {
		if out, err = s.logTarget(t.out); err != nil {
			err = fatalConfig("Can't open the log file: " + systemReason(err))
		}
	}
	var fatal fatalConfigError
	if errors.As(err, &fatal) {
		_, _ = io.WriteString(t.err, fatal.text)
		return 1
	}
	level := new(slog.LevelVar)
	if s != nil {
		level = s.level
	}
	r := &redisProcess{settings: s, log: newRedisLog(out, level), terminal: t}
	r.logger = slog.New(r.log)
	slog.SetDefault(r.logger)
	if err != nil {
		r.warn("%s", err)
		return 1
	}
	return r.run(argv)
}

// fatalConfigError is what redis-server prints about a configuration.
type fatalConfigError struct{ text string }

func (e fatalConfigError) Error() string { return e.text }

func fatalConfig(why string) error {
	return fatalConfigError{fmt.Sprintf("\n*** FATAL CONFIG FILE ERROR (Redis %s) ***\n%s\n", conf.Version, why)}
}

// fatalError is one that redis-server logs.
type fatalError struct{ error }

func (e fatalError) Error() string { return "Fatal error, " + e.error.Error() }

// redisServerSettings reads the configuration. The error is a fatalConfigError,
// or one for the log.
func redisServerSettings(argv []string) (*storeSettings, error) {
	args, err := conf.SplitArgs(argv)
	if err != nil {
		return nil, fatalConfig(err.Error())
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	s, err := readSettings(conf.Parser{}, args, "dir "+conf.Quote(wd), "")
	var bad *conf.Error
	switch {
	case errors.As(err, &bad):
		return nil, fatalConfigError{bad.Fatal()}
	case err != nil:
		return nil, fatalError{err}
	}
	if refused := s.Refused(); len(refused) > 0 {
		return nil, fatalConfig("not implemented, and not to be done without: " + strings.Join(refused, ", "))
	}
	return s, nil
}

// redisProcess is a redis-server on its way.
type redisProcess struct {
	settings *storeSettings
	terminal terminal
	log      *redisLog
	logger   *slog.Logger
}

func (r *redisProcess) warn(format string, args ...any) { r.logger.Warn(fmt.Sprintf(format, args...)) }
func (r *redisProcess) notice(format string, args ...any) {
	r.logger.Info(fmt.Sprintf(format, args...))
}

func (r *redisProcess) run(argv []string) int {
	s := r.settings
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	r.warn("oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo")
	r.warn("Redis version=%s, bits=64, commit=00000000, modified=0, pid=%d, just started", conf.Version, os.Getpid())
	if len(argv) == 0 {
		r.warn("Warning: no config file specified, using the default config. In order to specify a config file use %s /path/to/redis.conf", os.Args[0])
	} else {
		r.warn("Configuration loaded")
	}
	r.log.role.Store('M')
	doors, err := s.openDoors(r.logger)
	if err != nil {
		r.warn("%s", redisDoorError(err))
		return 1
	}
	removePID := s.writePIDFile(r.logger)
	defer removePID()
	r.showLogo()
	r.warn("Server initialized")
	s.tellMissing(r.logger)

	stop := make(chan struct{})
	loaded := make(chan struct{})
	go heed(signals, loaded, stop, r.log, os.Exit)
	e, err := s.serve(doors, r.logger)
	if err != nil {
		r.explain(err)
		return 1
	}
	close(loaded)
	if s.Int("port") != 0 || s.Int("tls-port") != 0 {
		r.notice("Ready to accept connections")
	}
	if path := s.Get("unixsocket"); path != "" {
		r.notice("The server is now ready to accept connections at %s", path)
	}
	s.tellSupervisor("STATUS=Ready to accept connections\nREADY=1\n")
	return r.serveUntil(stop, e)
}

// heed waits for signals. A server that is still loading has nothing to lose and
// ends at once; one that is told a second time to stop does not finish.
func heed(signals <-chan os.Signal, loaded <-chan struct{}, stop chan<- struct{}, log *redisLog, exit func(int)) {
	stopping := false
	for sig := range signals {
		select {
		case <-loaded:
		default:
			log.signal(time.Now(), "Received shutdown signal during loading, exiting now.")
			exit(0)
		}
		switch {
		case stopping && sig == syscall.SIGINT:
			log.signal(time.Now(), "You insist... exiting now.")
			exit(1)
		case !stopping:
			name := map[os.Signal]string{syscall.SIGINT: "SIGINT", syscall.SIGTERM: "SIGTERM"}[sig]
			log.signal(time.Now(), "Received "+name+" scheduling shutdown...")
			stopping = true
			close(stop)
		}
	}
}

func (r *redisProcess) serveUntil(stop <-chan struct{}, e *embedded) int {
	code := 0
	select {
	case <-stop:
	case <-e.db.Done():
	case err := <-e.served:
		r.warn("A listening socket broke: %s", err)
		code = 1
	}
	r.warn("User requested shutdown...")
	r.settings.tellSupervisor("STOPPING=1\n")
	if r.settings.Bool("appendonly") {
		r.notice("Calling fsync() on the AOF file.")
	}
	if err := e.stop(); err != nil {
		r.explain(err)
		code = 1
	}
	if r.settings.Get("pidfile") != "" || detached {
		r.notice("Removing the pid file.")
	}
	r.warn("Redis is now ready to exit, bye bye...")
	return code
}

// explain logs an error for people, all lines of it.
func (r *redisProcess) explain(err error) {
	var f *failure
	if !errors.As(err, &f) {
		r.warn("%s", err)
		return
	}
	r.warn("%s", f.text)
	for _, line := range f.more {
		r.warn("%s", line)
	}
}

// redisDoorError words what keeps a door shut as redis-server does.
func redisDoorError(err error) string {
	var door *doorError
	switch {
	case errors.Is(err, errNowhere):
		return "Configured to not listen anywhere, exiting."
	case errors.As(err, &door) && door.port != 0:
		return fmt.Sprintf("Failed listening on port %d (%s), aborting.", door.port, door.kind)
	case errors.As(err, &door):
		return "Failed opening Unix socket: bind: " + systemReason(door.err)
	}
	return "Failed to configure TLS: " + err.Error()
}

// showLogo says who runs where. Programs that start a redis-server look for
// " PID: 1234" and for "Server initialized" after it.
func (r *redisProcess) showLogo() {
	s := r.settings
	port := s.Int("port")
	if port == 0 {
		port = s.Int("tls-port")
	}
	if !s.Bool("always-show-logo") && (s.Get("logfile") != "" || !isTerminal(r.terminal.out)) {
		r.notice("Running mode=standalone, port=%d.", port)
		return
	}
	_ = r.log.line(fmt.Sprintf(`
          .-""""-.          Limpet %s, as Redis %s
        .'  /||\  '.        64 bit
       /  / /||\ \  \       Running in standalone mode
      /  / / || \ \  \      Port: %d
     /__/_/__||__\_\__\      PID: %d
`, version, conf.Version, port, os.Getpid()))
}
