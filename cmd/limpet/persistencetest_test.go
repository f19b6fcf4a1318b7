package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPersistenceTest_Embedded_EveryStepHolds_AndNothingIsLeft(t *testing.T) {
	scratch := shortDir(t)
	r := execute(t, exec.Command(binary, "persistence-test", "--embedded", "--json", "--scratch", scratch))
	steps := r.lines()
	for _, step := range steps {
		if step["ok"] != true {
			t.Errorf("%v: %v", step["step"], step["detail"])
		}
	}
	if r.code != 0 || len(steps) != len(trialSteps) {
		t.Errorf("exit code %d after %d of %d steps\n%s", r.code, len(steps), len(trialSteps), r.err)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A stack that loses writes is found out by every step that restarts it.
func TestPersistenceTest_DataThatAreLost_AreFoundOut(t *testing.T) {
	for _, step := range trialSteps[1:3] {
		s := &forgetful{}
		dir := shortDir(t)
		made, err := newProcessStack(dir)
		if err != nil {
			t.Fatal(err)
		}
		s.processStack = made.(*processStack)
		s.program = binary
		if err := os.Mkdir(s.data, 0o755); err != nil {
			t.Fatal(err)
		}
		tr := &trial{stack: s, scratch: dir}
		if _, err := step.try(tr, t.Context()); err == nil || !strings.Contains(err.Error(), "the data are gone") {
			t.Errorf("%s: %v", step.name, err)
		}
		if err := s.remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// forgetful is a set-up whose data go with it, as a container's without a mount.
type forgetful struct{ *processStack }

func (s *forgetful) down(ctx context.Context, volumes bool) error {
	err := s.processStack.down(ctx, volumes)
	return errors.Join(err, os.RemoveAll(s.data))
}

func TestPersistenceTest_WrongUse_IsRefused(t *testing.T) {
	execute(t, exec.Command(binary, "persistence-test", "--compose", "x", "--embedded")).want(exitUsage, "exclude each other")
	execute(t, exec.Command(binary, "persistence-test", "--service", "embedded")).want(exitUsage, "go with --compose")
	execute(t, exec.Command(binary, "persistence-test", "--compose", filepath.Join(t.TempDir(), "none.yml"))).want(exitLocal, "cannot read")
}
