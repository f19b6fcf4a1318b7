package lua

import (
	"errors"
	"strings"

	"limpet/resp"
)

// Flags are what a script says about itself in a first line such as
// "#!lua flags=no-writes,allow-stale". A script without that line has Declared
// false and is judged by what it does.
type Flags struct {
	Declared           bool
	NoWrites           bool
	AllowOOM           bool
	AllowStale         bool
	NoCluster          bool
	AllowCrossSlotKeys bool
}

// readShebang splits a script into its flags and the Lua in it. The first
// line's end stays, so that lines keep their numbers.
func readShebang(src string) (f Flags, body string, err error) {
	if !strings.HasPrefix(src, "#!") {
		return f, src, nil
	}
	end := strings.IndexByte(src, '\n')
	if end < 0 {
		return f, "", errors.New("ERR Invalid script shebang")
	}
	words, ok := resp.SplitWords([]byte(src[:end]))
	if !ok || len(words) == 0 {
		return f, "", errors.New("ERR Invalid engine in script shebang")
	}
	if engine := string(words[0]); engine != "#!lua" {
		return f, "", errors.New("ERR Unexpected engine in script shebang: " + engine)
	}
	f.Declared = true
	for _, w := range words[1:] {
		list, ok := strings.CutPrefix(string(w), "flags=")
		if !ok {
			return f, "", errors.New("ERR Unknown lua shebang option: " + string(w))
		}
		if list == "" {
			continue
		}
		for flag := range strings.SplitSeq(list, ",") {
			if !f.set(flag) {
				return f, "", errors.New("ERR Unexpected flag in script shebang: " + flag)
			}
		}
	}
	return f, src[end:], nil
}

func (f *Flags) set(name string) bool {
	switch name {
	case "no-writes":
		f.NoWrites = true
	case "allow-oom":
		f.AllowOOM = true
	case "allow-stale":
		f.AllowStale = true
	case "no-cluster":
		f.NoCluster = true
	case "allow-cross-slot-keys":
		f.AllowCrossSlotKeys = true
	default:
		return false
	}
	return true
}
