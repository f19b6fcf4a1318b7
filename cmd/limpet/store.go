package main

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"limpet/internal/archive"
	"limpet/internal/conf"
	"limpet/internal/metrics"
)

// storeCmd runs the embedded store alone. It has two faces that lead to the same
// settings: the flags that `limpet up` has, too, and redis-server's arguments.
type storeCmd struct {
	storeFlags
	archiveFlags
	metricsFlag
	logFlags
	Insecure bool `env:"LIMPET_INSECURE" help:"Listen beyond loopback without a password. Anyone who reaches the port may do anything."`

	Redis []string `arg:"" optional:"" name:"redis.conf --option value" help:"A configuration file of redis-server's and its options, as in redis.conf --port 7000 --maxclients 100; - reads standard input."`
}

// Help follows the summary in `limpet store --help`.
func (c *storeCmd) Help() string {
	return "Every directive of redis.conf may be written as an option. " +
		"What stands later wins, a variable wins over the file, and an option over both. " +
		"Unless told otherwise the store keeps its log and listens on loopback. docs/store.md has it all."
}

// builtIn is what `limpet store` does by itself where redis-server does
// something else.
const builtIn = "appendonly yes\naof-timestamp-enabled yes\nsave \"\"\nbind 127.0.0.1\n"

// inRedisTerms are the flags of `limpet store` that mean something to
// redis-server, as options of its.
var inRedisTerms = map[string]func(value string) []string{
	"dir":            func(v string) []string { return []string{"--dir", kong.ExpandPath(v)} },
	"appendfsync":    func(v string) []string { return []string{"--appendfsync", v} },
	"store-password": func(v string) []string { return []string{"--requirepass", v} },
	"store-addr": func(v string) []string {
		host, port, _ := net.SplitHostPort(v) // a bad one is refused in better words than redis-server has
		return []string{"--bind", bindWord(host), "--port", port}
	},
}

// ownStoreFlags are flags with a value that mean nothing to redis-server.
var ownStoreFlags = map[string]bool{
	"log-format": true, "log-level": true, "archive": true, "archive-interval": true, "metrics-addr": true,
	"recipient": true, "identity": true, "passphrase-file": true,
}

// bindWord is the host of a HOST:PORT as bind has it.
func bindWord(host string) string {
	switch host {
	case "", "0.0.0.0":
		return "*"
	case "::":
		return "::*"
	}
	return host
}

// splitStoreArgs takes apart what is typed behind `limpet store`: flags of its
// own, for the parser of all commands, and behind "--" a command line of
// redis-server. The flags that redis-server understands in its own terms go both
// ways, so that they keep their place among the options.
func splitStoreArgs(args []string) []string {
	var own, file, redis []string
	begun, complete := false, true // an option of redis-server's was seen; it has its first argument
	for i := 0; i < len(args); i++ {
		arg := args[i]
		name, value, hasValue := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		terms, both := inRedisTerms[name]
		switch isName := complete && strings.HasPrefix(arg, "--"); {
		case complete && arg == "-h", isName && (name == "help" || name == "version" || name == "insecure"):
			own = append(own, arg)
		case isName && (both || ownStoreFlags[name]):
			own = append(own, arg)
			if i++; !hasValue && i < len(args) {
				value = args[i]
				own = append(own, value)
			} else {
				i--
			}
			if both {
				redis = append(redis, terms(value)...)
			}
		case !begun && file == nil && !strings.HasPrefix(arg, "-"):
			file = []string{arg}
		default:
			redis, begun = append(redis, arg), true
			complete = !isName || strings.Contains(arg, " ") || strings.EqualFold(arg, "--save")
		}
	}
	return append(append(append(own, "--"), file...), redis...)
}

// Validate checks what does not need the machine to tell. Whether the address is
// guarded depends on the rest of the configuration.
func (c *storeCmd) Validate() error {
	return errors.Join(guarded("--store-addr", c.StoreAddr, "", "", true), c.metricsFlag.Validate())
}

// Run runs the store until a signal or SHUTDOWN ends it.
func (c *storeCmd) Run(ctx context.Context, k *kong.Context, t terminal) error {
	s, err := c.settings(k)
	if err != nil {
		return err
	}
	if s.inBackground() {
		return s.goToBackground()
	}
	if given(k, "log-level") || !s.Given("loglevel") {
		s.level.Set(c.level())
	}
	logs, err := s.logTarget(t.err)
	if err != nil {
		return failf(exitLocal, "cannot write to the log file %s: %s", s.at(s.Get("logfile")), reason(err))
	}
	logger := c.loggerTo(logs, s.level)
	m, err := openMetrics(c.MetricsAddr)
	if err != nil {
		return err
	}
	doors, err := s.openDoors(logger)
	if err != nil {
		m.close()
		return s.explainDoor(err)
	}
	s.tellMissing(logger)
	e, err := s.serve(doors, logger)
	if err != nil {
		m.close()
		return err
	}
	e.archiving, err = c.archiveFlags.start(archive.Options{
		Dir: s.Get("dir"), DirName: s.Get("appenddirname"), FileName: s.Get("appendfilename"),
	}, logger)
	if err != nil {
		m.close()
		return errors.Join(err, e.stop())
	}
	m.serve(logger, e.metricsOf(metrics.Directory{
		Dir: s.Get("dir"), DirName: s.Get("appenddirname"), FileName: s.Get("appendfilename"), DumpName: s.Get("dbfilename"),
	}, logger)...)
	defer s.writePIDFile(logger)()
	logger.Info("the store is ready for Redis clients", "addr", doors.String(), "dir", s.Get("dir"), "appendfsync", s.Get("appendfsync"))
	s.tellSupervisor("READY=1")
	err = e.ended(ctx)
	logger.Info("stopping")
	m.close()
	if stopErr := e.stop(); err == nil {
		err = stopErr
	}
	if err == nil {
		logger.Info("stopped; everything is on disk")
	}
	return err
}

// settings are the store's, from all places where they may be written.
func (c *storeCmd) settings(k *kong.Context) (*storeSettings, error) {
	args, err := conf.SplitArgs(c.Redis)
	if err != nil {
		return nil, failf(exitUsage, "%s", err)
	}
	base, environment := builtIn, ""
	for _, flag := range k.Flags() {
		terms, ok := inRedisTerms[flag.Name]
		if !ok {
			continue
		}
		if flag.HasDefault {
			base += inLines(terms(flag.Default))
		}
		for _, name := range flag.Envs {
			if v := os.Getenv(name); v != "" {
				environment += inLines(terms(v))
			}
		}
	}
	s, err := readSettings(conf.Parser{MissingDirOK: true}, args, base, environment)
	if err != nil {
		return nil, failf(exitUsage, "%s", err).with("Nothing has been changed.").with("help:   limpet store --help")
	}
	if given(k, "store-addr") {
		if err := guarded("--store-addr", c.StoreAddr, s.Get("requirepass"), "--store-password", c.Insecure); err != nil {
			return nil, failf(exitUsage, "%s", err).with("help:   limpet store --help")
		}
		// To redis-server port 0 means none; in HOST:PORT it means any.
		_, port, _ := net.SplitHostPort(c.StoreAddr)
		s.anyPort = port == "0" && s.Int("port") == 0
	}
	s.unprotected = c.Insecure
	if refused := s.Refused(); len(refused) > 0 {
		return nil, failf(exitUsage, "the store cannot do what the configuration asks for: %s", strings.Join(refused, ", ")).
			with("It would be open wider, or on its own, where the configuration wants the opposite. Nothing has been changed.")
	}
	return s, nil
}

// given tells whether a flag stands on the command line or in a variable.
func given(k *kong.Context, name string) bool {
	for _, p := range k.Path {
		if p.Flag != nil && p.Flag.Name == name {
			return true
		}
	}
	for _, flag := range k.Flags() {
		if flag.Name == name {
			return slices.ContainsFunc(flag.Envs, func(env string) bool { return os.Getenv(env) != "" })
		}
	}
	return false
}

// inLines are options as lines of a configuration.
func inLines(options []string) string {
	a, _ := conf.SplitArgs(options) // they name no sentinel
	return a.Options + "\n"
}
