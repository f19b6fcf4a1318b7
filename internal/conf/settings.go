package conf

import (
	"slices"
	"strconv"
	"strings"
)

// Settings is a configuration that has been read whole.
type Settings struct {
	values map[string]string
	given  map[string]bool

	// Renamed has, by the name in lower case that clients type, the command that
	// it means; "" is a name that means nothing any more. Names that rename-command
	// has left alone are not in it.
	Renamed map[string]string
	// Users are ACL users that were declared, and Modules those to be loaded.
	// Limpet has neither.
	Users, Modules []string
}

func newSettings() *Settings {
	return &Settings{values: map[string]string{}, given: map[string]bool{}, Renamed: map[string]string{}}
}

// Get is the value of a directive as CONFIG GET shows it. It panics when the
// table has no such name.
func (s *Settings) Get(name string) string {
	d := Lookup(name)
	if d == nil {
		panic("conf: no directive " + name)
	}
	if v, ok := s.values[d.Name]; ok {
		return v
	}
	return d.Default
}

// Set changes the value of a directive as a line of the configuration would.
func (s *Settings) Set(name, value string) error {
	d := Lookup(name)
	v, err := d.read([]string{value}, s.Get(d.Name), false)
	if err == nil {
		s.values[d.Name] = v
	}
	return err
}

// Given tells whether some line has set a directive, be it to its default.
func (s *Settings) Given(name string) bool { return s.given[Lookup(name).Name] }

// Bool is the value of a directive that is yes or no.
func (s *Settings) Bool(name string) bool { return s.Get(name) == "yes" }

// Int is the value of a number, or of a size in bytes.
func (s *Settings) Int(name string) int64 {
	n, _ := strconv.ParseInt(s.Get(name), 10, 64) // the table has checked it
	return n
}

// Octal is the value of a directive in octal digits, such as unixsocketperm.
func (s *Settings) Octal(name string) uint32 {
	n, _ := strconv.ParseUint(s.Get(name), 8, 32) // the table has checked it
	return uint32(n)
}

// List is the value of a directive of several words.
func (s *Settings) List(name string) []string { return strings.Fields(s.Get(name)) }

// Missing are the directives, as "name value", that ask for what Limpet does not
// do and goes without.
func (s *Settings) Missing() []string { return s.asking(Missing) }

// Refused are those without which Limpet must not start: ACL users, whose absence
// would leave the store open, and what makes a server part of others.
func (s *Settings) Refused() []string {
	lines := s.asking(Refused)
	for _, name := range s.Users {
		lines = append(lines, "user "+name)
	}
	for _, path := range s.Modules {
		lines = append(lines, "loadmodule "+path)
	}
	return lines
}

func (s *Settings) asking(kind Support) (lines []string) {
	for _, d := range directives {
		if v := s.Get(d.Name); d.Support == kind && v != d.Default {
			lines = append(lines, strings.TrimSpace(d.Name+" "+v))
		}
	}
	slices.Sort(lines)
	return lines
}
