package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"limpet/resp"
)

// options is a command line, understood.
type options struct {
	host    string
	port    int
	socket  string
	db      int
	user    string
	auth    string
	hasAuth bool
	askPass bool
	tls     tlsOptions

	form      form
	resp2     bool
	resp3     bool // ask for RESP3
	mustResp3 bool // and fail without it
	pushes    bool // show RESP3's out-of-band messages
	between   string
	after     string // between the bulks of a reply and after a reply, in the raw form

	repeat      int64 // below 0 for ever
	interval    time.Duration
	stdinLast   bool
	stdinTag    string
	hasStdinTag bool
	quotedInput bool
	errorCode   bool // an error reply ends with exit code 1

	mode        func(*session) error // instead of commands
	pattern     string
	count       int // of SCAN, 0 for the server's own
	pipeTimeout time.Duration
	history     bool // of latency
	samples     int  // of MEMORY USAGE, below 0 for the server's own
	eval        string

	args     []string // the command
	version  bool
	warnings []string
	say      string // to be printed instead of doing anything
	sayCode  int
}

// form is how a reply is shown.
type form int

const (
	formTerminal form = iota
	formRaw
	formCSV
	formJSON
	formQuotedJSON
)

const defaultPipeTimeout = 30 * time.Second

// flags take no value.
var flags = map[string]func(*options){
	"--help":            func(o *options) { o.say = usage },
	"-x":                func(o *options) { o.stdinLast = true },
	"-e":                func(o *options) { o.errorCode = true },
	"-v":                func(o *options) { o.version = true },
	"--version":         func(o *options) { o.version = true },
	"-2":                func(o *options) { o.resp2 = true },
	"-3":                func(o *options) { o.resp3, o.mustResp3 = true, true },
	"--raw":             func(o *options) { o.form = formRaw },
	"--no-raw":          func(o *options) { o.form = formTerminal },
	"--csv":             func(o *options) { o.form = formCSV },
	"--json":            func(o *options) { o.form, o.resp3 = formJSON, true },
	"--quoted-json":     func(o *options) { o.form, o.resp3 = formQuotedJSON, true },
	"--quoted-input":    func(o *options) { o.quotedInput = true },
	"--askpass":         func(o *options) { o.askPass = true },
	"--no-auth-warning": func(*options) {},
	"--verbose":         func(*options) {},
	"--tls":             func(o *options) { o.tls.on = true },
	"--insecure":        func(o *options) { o.tls.insecure = true },
	"--scan":            func(o *options) { o.mode = (*session).scan },
	"--stat":            func(o *options) { o.mode = (*session).stat },
	"--pipe":            func(o *options) { o.mode = (*session).pipe },
	"--latency":         func(o *options) { o.mode = (*session).latency },
	"--latency-history": func(o *options) { o.mode, o.history = (*session).latency, true },
	"--bigkeys":         func(o *options) { o.mode = (*session).bigKeys },
	"--memkeys":         func(o *options) { o.mode, o.samples = (*session).memKeys, -1 },
}

// settings take one.
var settings = map[string]func(*options, string) error{
	"-h":                func(o *options, v string) error { o.host = v; return nil },
	"-p":                func(o *options, v string) error { return o.setPort(v) },
	"-s":                func(o *options, v string) error { o.socket = v; return nil },
	"-n":                func(o *options, v string) error { return number(&o.db, v) },
	"-a":                (*options).setPassword,
	"--pass":            (*options).setPassword,
	"--user":            func(o *options, v string) error { o.user = v; return nil },
	"-u":                (*options).setURI,
	"-r":                func(o *options, v string) error { return number(&o.repeat, v) },
	"-i":                (*options).setInterval,
	"-X":                func(o *options, v string) error { o.stdinTag, o.hasStdinTag = v, true; return nil },
	"-d":                func(o *options, v string) error { o.between = v; return nil },
	"-D":                func(o *options, v string) error { o.after = v; return nil },
	"--pattern":         func(o *options, v string) error { o.pattern = v; return nil },
	"--quoted-pattern":  (*options).setQuotedPattern,
	"--count":           func(o *options, v string) error { return number(&o.count, v) },
	"--pipe-timeout":    (*options).setPipeTimeout,
	"--memkeys-samples": (*options).setSamples,
	"--eval":            func(o *options, v string) error { o.eval = v; return nil },
	"--show-pushes":     (*options).setPushes,
	"--sni":             func(o *options, v string) error { o.tls.serverName = v; return nil },
	"--cacert":          func(o *options, v string) error { o.tls.caFile = v; return nil },
	"--cacertdir":       func(o *options, v string) error { o.tls.caDir = v; return nil },
	"--cert":            func(o *options, v string) error { o.tls.certFile = v; return nil },
	"--key":             func(o *options, v string) error { o.tls.keyFile = v; return nil },
}

// absent are options of the real program that this one does not have.
var absent = []string{
	"-c", "--cluster", "--hotkeys", "--rdb", "--functions-rdb", "--replica", "--slave", "--lru-test",
	"--latency-dist", "--intrinsic-latency", "--ldb", "--ldb-sync-mode", "--tls-ciphers", "--tls-ciphersuites",
}

// parseOptions reads a command line up to the command, whose own arguments may
// look like options.
func parseOptions(args []string, tty bool) (*options, error) {
	o := &options{
		host: "127.0.0.1", port: 6379, repeat: 1, form: formRaw, pushes: tty,
		between: "\n", after: "\n", pipeTimeout: defaultPipeTimeout,
	}
	if tty {
		o.form = formTerminal
	}
	quiet := false
	for len(args) > 0 {
		name := args[0]
		if name == "--no-auth-warning" {
			quiet = true
		}
		if set, ok := settings[name]; ok && len(args) > 1 {
			if err := set(o, args[1]); err != nil {
				return nil, err
			}
			args = args[2:]
			continue
		}
		switch flag, ok := flags[name]; {
		case ok:
			flag(o)
		case name == "-h":
			o.say = usage
		case !strings.HasPrefix(name, "-"):
			o.args = args
			return o, o.conflicts(quiet)
		default:
			for _, a := range absent {
				if name == a {
					return nil, fmt.Errorf("limpet's redis-cli has no %s, use Redis's own", name)
				}
			}
			return nil, complainf("Unrecognized option or bad number of args for: '%s'", name)
		}
		args = args[1:]
		if o.say != "" || o.version {
			return o, nil
		}
	}
	return o, o.conflicts(quiet)
}

const (
	errProtocols = complaint(`Options -2 and -3 are mutually exclusive.`)
	errStdin     = complaint(`Options -x and -X are mutually exclusive.`)
	errPort      = complaint(`Invalid server port.`)
	errScheme    = complaint(`Invalid URI scheme`)
	errPattern   = complaint(`Invalid quoted string specified for --quoted-pattern.`)
	errSamples   = complaint(`--memkeys-samples conversion error.`)
)

func (o *options) conflicts(quiet bool) error {
	if o.hasAuth && !quiet {
		o.warnings = append(o.warnings, "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.")
	}
	switch {
	case o.resp2 && o.mustResp3:
		return errProtocols
	case o.stdinLast && o.hasStdinTag:
		return errStdin
	}
	if o.resp2 {
		o.resp3 = false
	}
	return nil
}

func number[N int | int64](n *N, v string) error {
	parsed, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return fmt.Errorf("'%s' is not a number", v)
	}
	*n = N(parsed)
	return nil
}

func (o *options) setPort(v string) error {
	if err := number(&o.port, v); err != nil || o.port < 0 || o.port > 65535 {
		return errPort
	}
	return nil
}

func (o *options) setPassword(v string) error {
	o.auth, o.hasAuth = v, true
	return nil
}

func (o *options) setInterval(v string) error {
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil || seconds < 0 || seconds > 1e9 {
		return fmt.Errorf("'%s' is not a number of seconds", v)
	}
	o.interval = time.Duration(seconds * float64(time.Second))
	return nil
}

func (o *options) setPipeTimeout(v string) error {
	var seconds int
	err := number(&seconds, v)
	o.pipeTimeout = time.Duration(seconds) * time.Second
	return err
}

func (o *options) setSamples(v string) error {
	o.mode = (*session).memKeys
	if number(&o.samples, v) != nil || o.samples < 0 {
		return errSamples
	}
	return nil
}

func (o *options) setQuotedPattern(v string) error {
	text, ok := unquote(v)
	if !ok {
		return errPattern
	}
	o.pattern = text
	return nil
}

func (o *options) setPushes(v string) error {
	switch {
	case strings.HasPrefix(strings.ToLower(v), "n"):
		o.pushes = false
	case strings.HasPrefix(strings.ToLower(v), "y"):
		o.pushes = true
	default:
		o.warnings = append(o.warnings, fmt.Sprintf("Unknown --show-pushes value '%s' (valid: '[y]es', '[n]o')", v))
	}
	return nil
}

// unquote reads an argument that may be one quoted word.
func unquote(v string) (text string, ok bool) {
	if !strings.HasPrefix(v, `"`) && !strings.HasPrefix(v, `'`) {
		return v, true
	}
	words, ok := resp.SplitWords([]byte(v))
	if !ok || len(words) != 1 {
		return "", false
	}
	return string(words[0]), true
}
