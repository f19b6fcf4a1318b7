// Package conf reads the configuration of redis-server 7.0: redis.conf's
// grammar, the command line that continues it, and the table of all its
// directives with their values' grammars and defaults.
//
// It decides what a configuration says and refuses what the real server would
// refuse, in the real server's words; it knows nothing of what the settings do.
// A configuration is read as a whole, in the order file, standard input, command
// line; where a directive is repeated the last one counts, but for those that
// add up (save, include, rename-command).
//
//	s, err := (&conf.Parser{}).Parse(conf.Source{Name: "redis.conf", Text: text})
//	port := s.Int("port")
//
// A directive that is in Redis's table but that Limpet does not implement is
// accepted, and [Settings.Missing] names it when its value asks for something.
// A few are refused instead (see [Refused]): starting without them would serve
// what the configuration means to keep closed, or write what it means to leave
// to another server.
package conf
