package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The manual names every command, flag, variable and exit code, and no flag or
// variable that there is not.
func TestManual_AgreesWithTheProgram(t *testing.T) {
	const manual = "../../docs/cli.md"
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	var c commands
	parser, err := newParser(&c, terminal{os.Stdout, os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"--help"}
	for _, command := range parser.Model.Children {
		if !strings.Contains(text, "| `limpet "+command.Name) {
			t.Errorf("%s does not describe limpet %s", manual, command.Name)
		}
		for _, flag := range command.Flags {
			known = append(append(known, "--"+flag.Name), flag.Envs...)
			if !strings.Contains(text, "`--"+flag.Name+"`") {
				t.Errorf("%s does not describe --%s of limpet %s", manual, flag.Name, command.Name)
			}
			for _, env := range flag.Envs {
				if !strings.Contains(text, "`"+env+"`") {
					t.Errorf("%s does not describe %s", manual, env)
				}
			}
		}
	}
	for _, name := range regexp.MustCompile(`--[a-z][a-z-]+|LIMPET_[A-Z_]+`).FindAllString(text, -1) {
		if !slices.Contains(known, name) {
			t.Errorf("%s names %s, which there is not", manual, name)
		}
	}
	source, err := os.ReadFile("exit.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range regexp.MustCompile(`(?m)^\texit[A-Z]\w* += (\d+)`).FindAllStringSubmatch(string(source), -1) {
		if !strings.Contains(text, "| "+code[1]+" | ") {
			t.Errorf("%s does not explain the exit code %s", manual, code[1])
		}
	}
}
