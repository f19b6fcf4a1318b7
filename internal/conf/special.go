package conf

import (
	"regexp"
	"strconv"
	"strings"

	"limpet/resp"
)

// Directives whose values have a grammar of their own.

// maxBind is how many addresses bind takes.
const maxBind = 16

// bindAddresses is bind: no argument, or an empty one, listens nowhere.
func bindAddresses(args []string, _ string, _ bool) (string, error) {
	if len(args) > maxBind {
		return "", refusal("Too many bind addresses specified.")
	}
	return strings.Join(args, " "), nil
}

// savePoints is save: pairs of seconds and changes. The first line replaces the
// default, others add to it, "" clears what came before, and a bare save adds nothing.
func savePoints(args []string, before string, given bool) (string, error) {
	if len(args) == 1 && args[0] == "" {
		return "", nil
	}
	if len(args)%2 != 0 {
		return "", errSave
	}
	for i, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil || i%2 == 0 && n < 1 || n < 0 {
			return "", errSave
		}
	}
	if given && before != "" {
		args = append([]string{before}, args...)
	}
	return strings.Join(args, " "), nil
}

const errSave = refusal("Invalid save parameters")

// fileName is the name of a file inside the store's directory; what is the word
// that the error has for it.
func fileName(directive, what string, empty bool) func(string) (string, error) {
	return func(arg string) (string, error) {
		switch {
		case arg == "" && !empty:
			return "", refusalf("%s can't be empty", directive)
		case strings.ContainsAny(arg, `/\`):
			return "", refusalf("%s can't be a path, just a %s", directive, what)
		}
		return arg, nil
	}
}

// bufferClasses in the order in which the value lists them, with their aliases.
var bufferClasses = map[string]int{"normal": 0, "slave": 1, "replica": 1, "pubsub": 2}

// bufferLimits is client-output-buffer-limit: groups of a class, two sizes and
// seconds, of which each changes one class.
func bufferLimits(args []string, before string, _ bool) (string, error) {
	if len(args)%4 != 0 {
		return "", refusal("Wrong number of arguments in buffer limit configuration.")
	}
	limits := strings.Split(before, " ")
	for ; len(args) > 0; args = args[4:] {
		class, ok := bufferClasses[strings.ToLower(args[0])]
		if !ok {
			return "", refusal("Invalid client class specified in buffer limit configuration.")
		}
		hard, err1 := Memory(args[1])
		soft, err2 := Memory(args[2])
		seconds, err3 := strconv.Atoi(args[3])
		if err1 != nil || err2 != nil || err3 != nil || seconds < 0 {
			return "", refusal("Error in hard, soft or soft_seconds setting in buffer limit configuration.")
		}
		limits[4*class+1] = strconv.FormatInt(hard, 10)
		limits[4*class+2] = strconv.FormatInt(soft, 10)
		limits[4*class+3] = strconv.Itoa(seconds)
	}
	return strings.Join(limits, " "), nil
}

// oomScores are three numbers: of the server, its replicas, its children.
func oomScores(args []string, _ string, _ bool) (string, error) {
	if len(args) != 3 {
		return "", errArity
	}
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil || n < -2000 || n > 2000 {
			return "", refusal("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
		}
	}
	return strings.Join(args, " "), nil
}

// percentiles are numbers from 0 to 100.
func percentiles(args []string, _ string, _ bool) (string, error) {
	if len(args) == 1 && args[0] == "" {
		return "", nil
	}
	read := make([]string, len(args))
	for i, arg := range args {
		f, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			return "", refusal("Invalid latency-tracking-info-percentiles parameters")
		}
		if f < 0 || f > 100 {
			return "", refusal("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		read[i] = strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strings.Join(read, " "), nil
}

// eventClasses are letters, one for each kind of keyspace event.
func eventClasses(arg string) (string, error) {
	if strings.Trim(arg, "Ag$lshzxeKEtmdn") != "" {
		return "", refusal("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
	}
	return arg, nil
}

// primary is replicaof: a host and a port, or "no one".
func primary(args []string, _ string, _ bool) (string, error) {
	if len(args) != 2 {
		return "", errArity
	}
	if strings.EqualFold(args[0], "no") && strings.EqualFold(args[1], "one") {
		return "", nil
	}
	if port, ok := resp.ParseInt([]byte(args[1])); !ok || port < 0 || port > 65535 {
		return "", refusal("Invalid master port")
	}
	return strings.Join(args, " "), nil
}

var titleVariable = regexp.MustCompile(`\{[^}]*\}`)

// titleTemplate is what a process is called, with variables in braces.
func titleTemplate(arg string) (string, error) {
	known := map[string]bool{"{title}": true, "{listen-addr}": true, "{server-mode}": true,
		"{port}": true, "{tls-port}": true, "{unixsocket}": true, "{config-file}": true}
	ok := arg != ""
	for _, v := range titleVariable.FindAllString(arg, -1) {
		ok = ok && known[v]
	}
	if !ok || strings.Count(arg, "{") != strings.Count(arg, "}") {
		return "", refusal("template format is invalid or contains unknown variables")
	}
	return arg, nil
}

var hostnameLetters = regexp.MustCompile(`^[A-Za-z0-9.-]*$`)

func hostname(arg string) (string, error) {
	if !hostnameLetters.MatchString(arg) {
		return "", refusal("Hostnames may only contain alphanumeric characters, hyphens or dots")
	}
	return arg, nil
}
