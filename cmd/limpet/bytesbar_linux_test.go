package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestCheck_OnATerminal_DrawsABarOnStandardError(t *testing.T) {
	dir := realDir(t)
	master, slave := openTerminal(t)
	c := exec.Command(binary, "check", dir)
	c.Stderr = slave
	out, err := c.Output()
	if err != nil || !strings.Contains(string(out), ": sound\n") || strings.Contains(string(out), "checking") {
		t.Errorf("%v: %q", err, out)
	}
	drawn := make([]byte, 1<<16)
	n, err := master.Read(drawn)
	if err != nil || !strings.Contains(string(drawn[:n]), "checking") {
		t.Errorf("%v: drawn %q", err, drawn[:n])
	}
	_ = slave.Close()
}
