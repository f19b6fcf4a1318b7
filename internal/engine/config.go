package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"limpet/internal/glob"
)

// setting is one name of CONFIG GET. set is nil for what cannot be changed at
// run time; it answers why a value is refused, and changes nothing then.
type setting struct {
	name string
	get  func(e *Engine) string
	set  func(e *Engine, value string) error
}

func yesNo(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

func fixed(value string) func(*Engine) string { return func(*Engine) string { return value } }

// settings are those that the engine has by itself, by name.
var settings = []setting{
	{name: "aof-disable-auto-gc", get: func(e *Engine) string { return yesNo(e.options.KeepOld) },
		set: setKeepOld},
	{name: "aof-load-truncated", get: func(e *Engine) string { return yesNo(!e.options.RefuseTruncated) }},
	{name: "aof-timestamp-enabled", get: func(e *Engine) string { return yesNo(e.options.Timestamps) },
		set: boolSetting(func(e *Engine) *bool { return &e.options.Timestamps })},
	{name: "aof-use-rdb-preamble", get: func(e *Engine) string { return yesNo(!e.options.RESPBase) },
		set: notSetting(func(e *Engine) *bool { return &e.options.RESPBase })},
	{name: "appenddirname", get: func(e *Engine) string { return e.options.AppendDirName }},
	{name: "appendfilename", get: func(e *Engine) string { return e.options.AppendFileName }},
	{name: "appendfsync", get: func(e *Engine) string { return Policy(e.log.policy.Load()).String() }, set: setFsync},
	{name: "appendonly", get: func(e *Engine) string { return yesNo(e.logState != logOff) }, set: setAppendOnly},
	{name: "auto-aof-rewrite-min-size", get: func(e *Engine) string { return strconv.FormatInt(e.options.RewriteMinSize, 10) },
		set: func(e *Engine, v string) error {
			n, err := parseMemory(v)
			if err == nil {
				e.options.RewriteMinSize = n
			}
			return err
		}},
	{name: "auto-aof-rewrite-percentage", get: func(e *Engine) string { return strconv.Itoa(e.options.RewritePercentage) },
		set: intSetting(0, func(e *Engine) *int { return &e.options.RewritePercentage })},
	{name: "bind", get: fixed("")},
	{name: "databases", get: func(e *Engine) string { return strconv.Itoa(e.options.Limits.Databases) }},
	{name: "dbfilename", get: func(e *Engine) string { return e.options.DBFileName }},
	{name: "dir", get: func(e *Engine) string { return e.dir }},
	{name: "hash-max-listpack-entries", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.HashEntries) },
		set: intSetting(0, func(e *Engine) *int { return &e.unit.Limits.HashEntries })},
	{name: "hash-max-listpack-value", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.HashValue) },
		set: intSetting(0, func(e *Engine) *int { return &e.unit.Limits.HashValue })},
	{name: "list-max-listpack-size", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.ListNodeSize) },
		set: intSetting(-5, func(e *Engine) *int { return &e.unit.Limits.ListNodeSize })},
	{name: "maxmemory", get: fixed("0")},
	{name: "maxmemory-policy", get: fixed("noeviction")},
	{name: "proto-max-bulk-len", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.MaxBulk) },
		set: intSetting(1<<20, func(e *Engine) *int { return &e.unit.Limits.MaxBulk })},
	{name: "requirepass", get: func(e *Engine) string { return e.unit.Limits.Password },
		set: func(e *Engine, v string) error { e.unit.Limits.Password = v; return nil }},
	{name: "save", get: func(e *Engine) string { return formatSavePoints(e.options.SavePoints) }, set: setSavePoints},
	{name: "set-max-intset-entries", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.SetInts) },
		set: intSetting(0, func(e *Engine) *int { return &e.unit.Limits.SetInts })},
	{name: "stop-writes-on-bgsave-error", get: func(e *Engine) string { return yesNo(!e.options.IgnoreSaveErrors) },
		set: notSetting(func(e *Engine) *bool { return &e.options.IgnoreSaveErrors })},
	{name: "stream-node-max-entries", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.StreamNode) },
		set: intSetting(0, func(e *Engine) *int { return &e.unit.Limits.StreamNode })},
	{name: "zset-max-listpack-entries", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.ZSetEntries) },
		set: intSetting(0, func(e *Engine) *int { return &e.unit.Limits.ZSetEntries })},
	{name: "zset-max-listpack-value", get: func(e *Engine) string { return strconv.Itoa(e.unit.Limits.ZSetValue) },
		set: intSetting(0, func(e *Engine) *int { return &e.unit.Limits.ZSetValue })},
}

// Setting is a name of CONFIG for which whoever serves the store answers. Set is
// nil for what cannot be changed at run time; it answers why a value is refused,
// and changes nothing then. Both are called with the engine's lock held: they
// must not call the store.
type Setting struct {
	Name string
	Get  func() string
	Set  func(value string) error
}

// Configure adds settings, in the place of those of the same name.
func (e *Engine) Configure(added ...Setting) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range added {
		s := setting{name: a.Name, get: func(*Engine) string { return a.Get() }}
		if a.Set != nil {
			s.set = func(_ *Engine, v string) error { return a.Set(v) }
		}
		i, found := slices.BinarySearchFunc(e.settings, a.Name, func(s setting, name string) int { return strings.Compare(s.name, name) })
		if found {
			e.settings[i] = s
		} else {
			e.settings = slices.Insert(e.settings, i, s)
		}
	}
}

func boolSetting(field func(*Engine) *bool) func(*Engine, string) error {
	return func(e *Engine, v string) error {
		switch strings.ToLower(v) {
		case "yes":
			*field(e) = true
		case "no":
			*field(e) = false
		default:
			return fmt.Errorf("argument must be 'yes' or 'no'")
		}
		return nil
	}
}

// notSetting is boolSetting for a field that says the opposite.
func notSetting(field func(*Engine) *bool) func(*Engine, string) error {
	return func(e *Engine, v string) error {
		var yes bool
		err := boolSetting(func(*Engine) *bool { return &yes })(e, v)
		if err == nil {
			*field(e) = !yes
		}
		return err
	}
}

func intSetting(least int, field func(*Engine) *int) func(*Engine, string) error {
	return func(e *Engine, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("argument couldn't be parsed into an integer")
		}
		if n < least {
			return fmt.Errorf("argument must be between %d and 2147483647 inclusive", least)
		}
		*field(e) = n
		return nil
	}
}

// setKeepOld is aof-disable-auto-gc; with "no", what was kept so far is deleted.
func setKeepOld(e *Engine, v string) error {
	err := boolSetting(func(e *Engine) *bool { return &e.options.KeepOld })(e, v)
	if err != nil {
		return err
	}
	e.files.SetKeepHistory(e.options.KeepOld)
	if !e.options.KeepOld && !e.stopping {
		e.background.Go(e.deleteHistory)
	}
	return nil
}

func setFsync(e *Engine, v string) error {
	p, err := ParsePolicy(strings.ToLower(v))
	if err != nil {
		return fmt.Errorf("argument(s) must be one of the following: everysec, always, no")
	}
	e.log.setPolicy(p)
	return nil
}

// memoryUnits are redis.conf's, longest first.
var memoryUnits = []struct {
	suffix string
	bytes  int64
}{{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1}, {"", 1}}

// parseMemory reads a size as redis.conf writes it: 64mb, 1g, 1024.
func parseMemory(s string) (int64, error) {
	low := strings.ToLower(s)
	for _, u := range memoryUnits {
		digits, ok := strings.CutSuffix(low, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		return n * u.bytes, nil
	}
	return 0, fmt.Errorf("argument must be a memory value")
}

func (e *Engine) findSetting(name string) *setting {
	i := slices.IndexFunc(e.settings, func(s setting) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return &e.settings[i]
}

// ConfigGet is CONFIG GET. e.mu is held.
func (e *Engine) ConfigGet(patterns []string) (pairs []string) {
	for _, s := range e.settings {
		if slices.ContainsFunc(patterns, func(p string) bool { return glob.Match([]byte(p), []byte(s.name)) }) {
			pairs = append(pairs, s.name, s.get(e))
		}
	}
	return pairs
}

// ConfigSet is CONFIG SET: all of the pairs or none. e.mu is held.
func (e *Engine) ConfigSet(pairs []string) (wireError string) {
	var todo []*setting
	for i := 0; i < len(pairs); i += 2 {
		s := e.findSetting(strings.ToLower(pairs[i]))
		switch {
		case s == nil:
			return "ERR Unknown option or number of arguments for CONFIG SET - '" + pairs[i] + "'"
		case s.set == nil:
			return configFailed(pairs[i], "can't set immutable config")
		case slices.Contains(todo, s):
			return configFailed(pairs[i], "duplicate parameter")
		}
		todo = append(todo, s)
	}
	before := make([]string, len(todo))
	for i, s := range todo {
		before[i] = s.get(e)
		if err := s.set(e, pairs[2*i+1]); err != nil {
			for j := range i {
				_ = todo[j].set(e, before[j]) // it was accepted before
			}
			return configFailed(pairs[2*i], err.Error())
		}
	}
	return ""
}

func configFailed(name, why string) string {
	return "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + why
}
