package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"limpet/resp"
)

// Source is a piece of a configuration.
type Source struct {
	Name string // as errors call it: a path, [Stdin], [CommandLine]
	Text string
}

// Names of sources that are no files.
const (
	Stdin       = "standard input"
	CommandLine = "the command line"
)

// Parser reads configurations. The zero value reads from the machine's files.
type Parser struct {
	// Dir is the working directory: what include means by a relative path, until
	// a dir line changes it. "" is the process's.
	Dir string
	// BuiltIn is a configuration that is read before all others and in whose place
	// the first save line stands, as in that of Redis's defaults. Its lines do not
	// count, and its dir is not what relative paths begin at.
	BuiltIn string
	// MissingDirOK accepts a dir line that names nothing yet.
	MissingDirOK bool
	// ReadFile reads an included file; nil is os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// Version is the release of redis-server whose configuration this is.
const Version = "7.0.15"

// Error is a line that the configuration may not have. Reason is worded as
// redis-server words it.
type Error struct {
	Source string // name of the source, or path of the included file
	Line   int    // in the source, from 1
	Joined int    // as redis-server counts: in all sources, one after another
	Text   string // the line without spaces around it
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: line %d: '%s': %s", e.Source, e.Line, e.Text, e.Reason)
}

// Fatal is what redis-server prints.
func (e *Error) Fatal() string {
	return fmt.Sprintf("\n*** FATAL CONFIG FILE ERROR (Redis %s) ***\nReading the configuration file, at line %d\n>>> '%s'\n%s\n",
		Version, e.Joined, e.Text, e.Reason)
}

// FileError is a configuration file that cannot be read.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string {
	return fmt.Sprintf("can't open config file '%s': %s", e.Path, systemReason(e.Err))
}

func (e *FileError) Unwrap() error { return e.Err }

// systemReason is the operating system's word for an error, spelt as in C.
func systemReason(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	s := errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// maxDepth is how deep files may include others: beyond it they include
// themselves. (redis-server would go on until it has no memory.)
const maxDepth = 32

const (
	badDirective = "Bad directive or wrong number of arguments"
	unbalanced   = "Unbalanced quotes in configuration line"
)

// Parse reads sources one after another. The error is an *[Error] or a
// *[FileError].
func (p *Parser) Parse(sources ...Source) (*Settings, error) {
	r := &reader{Parser: *p, settings: newSettings(), commands: map[string]string{}}
	for name := range strings.FieldsSeq(commandNames) {
		r.commands[name] = name
	}
	if err := r.source(Source{Name: "the built-in settings", Text: p.BuiltIn}, 0); err != nil {
		return nil, err
	}
	clear(r.settings.given)
	r.Dir = p.Dir
	joined := 0
	for _, s := range sources {
		if s.Name == CommandLine {
			joined++ // redis-server puts a line end in front of it
		}
		if err := r.source(s, joined); err != nil {
			return nil, err
		}
		joined += strings.Count(s.Text, "\n")
	}
	return r.settings, nil
}

// Load reads a file, or all files that a pattern fits, as one source each.
func (p *Parser) Load(path string) ([]Source, error) {
	read := p.ReadFile
	if read == nil {
		read = os.ReadFile
	}
	paths, shown := []string{p.abs(path)}, path
	if strings.ContainsAny(path, "*?[") {
		found, err := filepath.Glob(paths[0])
		if err != nil {
			return nil, nil // a pattern that cannot be read fits nothing
		}
		paths = slices.DeleteFunc(found, hidden)
	}
	var sources []Source
	for _, path := range paths {
		b, err := read(path)
		if err != nil {
			return nil, &FileError{Path: shown, Err: err}
		}
		sources = append(sources, Source{Name: path, Text: string(b)})
	}
	return sources, nil
}

// hidden files are found by no pattern, as in a shell.
func hidden(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") }

func (p *Parser) abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	if p.Dir == "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return path
		}
		return abs
	}
	return filepath.Join(p.Dir, path)
}

// reader is the state of one Parse.
type reader struct {
	Parser
	settings *Settings
	commands map[string]string // what clients may type, and which command it is
	depth    int
}

func (r *reader) source(s Source, joined int) error {
	for i, line := range strings.Split(s.Text, "\n") {
		line = strings.Trim(line, " \t\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		words, ok := resp.SplitWords([]byte(line))
		reason := unbalanced
		if ok {
			if len(words) == 0 {
				continue
			}
			args := make([]string, len(words))
			for i, w := range words {
				args[i] = string(w)
			}
			err := r.directive(strings.ToLower(args[0]), args[1:])
			var inner *Error
			var file *FileError
			switch {
			case err == nil:
				continue
			case errors.As(err, &inner) || errors.As(err, &file):
				return err
			}
			reason = err.Error()
		}
		return &Error{Source: s.Name, Line: i + 1, Joined: joined + i + 1, Text: line, Reason: reason}
	}
	return nil
}

// directive takes one line.
func (r *reader) directive(name string, args []string) error {
	s := r.settings
	if d := Lookup(name); d != nil {
		v, err := d.read(args, s.Get(d.Name), s.given[d.Name])
		if err == nil && d.Name == "dir" {
			v, err = r.enter(v)
		}
		if err != nil {
			return err
		}
		s.values[d.Name], s.given[d.Name] = v, true
		return nil
	}
	switch {
	case retired[name] && len(args) == 1:
		return nil
	case name == "include" && len(args) == 1:
		return r.include(args[0])
	case name == "rename-command" && len(args) == 2:
		return r.rename(strings.ToLower(args[0]), strings.ToLower(args[1]))
	case name == "user" && len(args) >= 1:
		if slices.Contains(s.Users, args[0]) {
			return refusalf("Error in user declaration '%s': Duplicate user found. A user can only be defined once in config files", args[0])
		}
		s.Users = append(s.Users, args[0])
		return nil
	case name == "loadmodule" && len(args) >= 1:
		s.Modules = append(s.Modules, args[0])
		return nil
	case name == "sentinel" && len(args) == 0:
		return nil // as redis-server takes it
	case name == "sentinel":
		return refusal("sentinel directive while not in sentinel mode")
	}
	return refusal(badDirective)
}

// enter makes a directory the working directory of what follows.
func (r *reader) enter(dir string) (string, error) {
	path := r.abs(dir)
	info, err := os.Stat(path)
	switch {
	case dir == "":
		return "", refusal(systemReason(syscall.ENOENT))
	case errors.Is(err, fs.ErrNotExist) && r.MissingDirOK:
	case err != nil:
		return "", refusal(systemReason(err))
	case !info.IsDir():
		return "", refusal(systemReason(syscall.ENOTDIR))
	}
	r.Dir = path
	return path, nil
}

func (r *reader) include(pattern string) error {
	if r.depth == maxDepth {
		return fmt.Errorf("files include one another more than %d deep", maxDepth)
	}
	sources, err := r.Load(pattern)
	if err != nil {
		return err
	}
	r.depth++
	defer func() { r.depth-- }()
	joined := 0
	for _, s := range sources {
		if err := r.source(s, joined); err != nil {
			return err
		}
		joined += strings.Count(s.Text, "\n")
	}
	return nil
}

// rename gives a command another name, or with "" none.
func (r *reader) rename(from, to string) error {
	command, ok := r.commands[from]
	if !ok {
		return refusal("No such command in rename-command")
	}
	delete(r.commands, from)
	r.settings.Renamed[from] = ""
	if to == "" {
		return nil
	}
	if _, taken := r.commands[to]; taken {
		return refusal("Target command name already exists")
	}
	r.commands[to] = command
	r.settings.Renamed[to] = command
	return nil
}
