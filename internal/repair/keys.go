package repair

import "strings"

// keysOf is the keys that a command of a log touches, good enough to tell people
// what is lost: the log has effects in canonical form, so that few commands have
// their keys anywhere but first.
func keysOf(args [][]byte) [][]byte {
	if len(args) < 2 {
		return nil
	}
	switch name := strings.ToLower(string(args[0])); name {
	case "select", "multi", "exec", "flushall", "flushdb", "swapdb", "function", "script", "ping", "publish", "spublish", "eval", "evalsha", "fcall":
		return nil
	case "del", "unlink", "pfmerge", "sdiffstore", "sinterstore", "sunionstore":
		return args[1:]
	case "mset", "msetnx":
		var keys [][]byte
		for i := 1; i < len(args); i += 2 {
			keys = append(keys, args[i])
		}
		return keys
	case "rename", "renamenx", "rpoplpush", "lmove", "smove", "copy", "zrangestore", "geosearchstore":
		return args[1:min(3, len(args))]
	case "xgroup", "bitop", "object":
		return args[min(2, len(args)-1):min(3, len(args))]
	}
	return args[1:2]
}
