package conf

import (
	"slices"
	"strings"
)

// Support says what Limpet makes of a directive.
type Support uint8

const (
	Missing Support = iota // accepted; said at start when it asks for something
	Done                   // does what redis-server does
	Refused                // any value but the default ends the start
)

// Directive is a row of the table.
type Directive struct {
	Name    string
	Alias   string // an older name, "" when there is none
	Default string // as CONFIG GET shows it
	Support Support

	multi bool // takes any number of arguments, or all of them in one
	check check
}

// check reads the arguments of a directive and answers its value as CONFIG GET
// shows it; the error is worded as redis-server words it. before is the value so
// far, and given whether a line has set it, for directives that add up.
type check func(args []string, before string, given bool) (value string, err error)

// single is a check of exactly one argument.
func single(read func(arg string) (string, error)) check {
	return func(args []string, _ string, _ bool) (string, error) {
		if len(args) != 1 {
			return "", errArity
		}
		return read(args[0])
	}
}

func row(name, value string, c check) *Directive {
	return &Directive{Name: name, Default: value, check: c}
}

func yesNo(name, value string) *Directive { return row(name, value, single(readYesNo)) }
func text(name, value string) *Directive  { return row(name, value, single(readText)) }

func integer(name, value string, least, most int64) *Directive {
	return row(name, value, single(readInteger(least, most)))
}

// memory is a size in bytes, which may be written with a unit.
func memory(name, value string, least, most int64) *Directive {
	return row(name, value, single(readMemory(least, most)))
}

// share is a size in bytes, or per cent of maxmemory.
func share(name, value string) *Directive { return row(name, value, single(readShare)) }

func octal(name, value string, least, most int64) *Directive {
	return row(name, value, single(readOctal(least, most)))
}

// word is one of a number of words.
func word(name, value string, all ...string) *Directive {
	return row(name, value, single(func(arg string) (string, error) { return readWord(arg, all) }))
}

// words is a set of them.
func words(name, value string, all ...string) *Directive {
	d := row(name, value, func(args []string, _ string, _ bool) (string, error) { return readWords(args, all) })
	d.multi = true
	return d
}

// special has a grammar of its own.
func special(name, value string, c check) *Directive {
	d := row(name, value, c)
	d.multi = true
	return d
}

// alone is special with exactly one argument.
func alone(name, value string, read func(string) (string, error)) *Directive {
	return row(name, value, single(read))
}

func (d *Directive) also(alias string) *Directive { d.Alias = alias; return d }
func (d *Directive) done() *Directive             { d.Support = Done; return d }
func (d *Directive) refused() *Directive          { d.Support = Refused; return d }

// read is check behind the rule that several arguments may be written as one.
func (d *Directive) read(args []string, before string, given bool) (string, error) {
	if d.multi && len(args) == 1 && args[0] != "" {
		args = strings.Fields(args[0])
	}
	return d.check(args, before, given)
}

// byName finds directives by their name and by their alias.
var byName = func() map[string]*Directive {
	m := make(map[string]*Directive, len(directives)+20)
	for _, d := range directives {
		m[d.Name] = d
		if d.Alias != "" {
			m[d.Alias] = d
		}
	}
	return m
}()

// Lookup finds a directive by its name or its alias in lower case, nil when
// there is none. include, rename-command and the retired ones are no directives
// in this sense: they have no value.
func Lookup(name string) *Directive { return byName[name] }

// All are the directives, by name. The slice is the caller's.
func All() []*Directive { return slices.Clone(directives) }
