package conf

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"limpet/resp"
)

// refusal is redis-server's answer to a line that it cannot take, in its words.
type refusal string

func (r refusal) Error() string { return string(r) }

func refusalf(format string, args ...any) refusal { return refusal(fmt.Sprintf(format, args...)) }

const (
	errArity   = refusal("wrong number of arguments")
	errYesNo   = refusal("argument must be 'yes' or 'no'")
	errInteger = refusal("argument couldn't be parsed into an integer")
	errMemory  = refusal("argument must be a memory value")
	errShare   = refusal("argument must be a memory or percent value")
	errOctal   = refusal("argument couldn't be parsed as an octal number")
)

func readText(arg string) (string, error) { return arg, nil }

func readYesNo(arg string) (string, error) {
	low := strings.ToLower(arg)
	if low != "yes" && low != "no" {
		return "", errYesNo
	}
	return low, nil
}

// readInteger reads decimal numbers without leading zeros or signs but '-'.
func readInteger(least, most int64) func(string) (string, error) {
	return func(arg string) (string, error) {
		n, ok := resp.ParseInt([]byte(arg))
		if !ok {
			return "", errInteger
		}
		return arg, within(n, least, most)
	}
}

func within(n, least, most int64) error {
	if n < least || n > most {
		return refusalf("argument must be between %d and %d inclusive", least, most)
	}
	return nil
}

func readMemory(least, most int64) func(string) (string, error) {
	return func(arg string) (string, error) {
		n, err := Memory(arg)
		if err != nil {
			return "", err
		}
		return strconv.FormatInt(n, 10), within(n, least, most)
	}
}

// memoryUnits are redis.conf's, in bytes: those with a b are powers of 1024.
var memoryUnits = map[string]int64{
	"": 1, "b": 1, "k": 1e3, "kb": 1 << 10, "m": 1e6, "mb": 1 << 20, "g": 1e9, "gb": 1 << 30,
}

// Memory reads a size in bytes as redis.conf writes it: 1024, 64mb, 1G. Without
// digits it is 0, as it is to redis-server. What is too large for an int64 is
// its largest value.
func Memory(s string) (int64, error) {
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	unit, ok := memoryUnits[strings.ToLower(s[digits:])]
	if !ok {
		return 0, errMemory
	}
	if digits == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return math.MaxInt64, nil
	}
	return n * unit, nil
}

func readOctal(least, most int64) func(string) (string, error) {
	return func(arg string) (string, error) {
		if arg == "" {
			return "0", nil
		}
		n, err := strconv.ParseInt(arg, 8, 64)
		if err != nil {
			return "", errOctal
		}
		if n < least || n > most {
			return "", refusalf("argument must be between %o and %o inclusive", least, most)
		}
		return strconv.FormatInt(n, 8), nil
	}
}

// readShare reads a size, or per cent up to 100.
func readShare(arg string) (string, error) {
	if digits, ok := strings.CutSuffix(arg, "%"); ok {
		n, ok := resp.ParseInt([]byte(digits))
		switch {
		case !ok || n < 0:
			return "", errShare
		case n > 100:
			return "", refusal("percentage argument must be less or equal to 100")
		}
		return arg, nil
	}
	n, err := Memory(arg)
	if err != nil {
		return "", errShare
	}
	return strconv.FormatInt(n, 10), nil
}

// readWord reads one of a number of words in any case.
func readWord(arg string, all []string) (string, error) {
	for _, w := range all {
		if strings.EqualFold(w, arg) {
			return w, nil
		}
	}
	return "", refusalf("argument(s) must be one of the following: %s", strings.Join(all, ", "))
}

// readWords reads a set of words; the first of all means the empty set. The value
// has them in the order of all.
func readWords(args, all []string) (string, error) {
	named := map[string]bool{}
	for _, arg := range args {
		w, err := readWord(arg, all)
		if err != nil {
			return "", err
		}
		named[w] = w != all[0]
	}
	var set []string
	for _, w := range all {
		if named[w] {
			set = append(set, w)
		}
	}
	switch {
	case len(args) == 0:
		return readWord("", all)
	case len(set) == 0:
		return all[0], nil
	}
	return strings.Join(set, " "), nil
}
