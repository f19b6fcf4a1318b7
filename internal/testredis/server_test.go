package testredis

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStart_AnswersAndKeepsItsFilesOverRestarts(t *testing.T) {
	s := Start(t, Options{Args: []string{"--appendonly", "yes", "--appendfsync", "always"}})
	s.Do("SET", "k", "v")
	s.Restart()
	if got := s.Do("GET", "k"); got != "v" {
		t.Errorf("after restart: %v", got)
	}
	s.Do("SET", "k", "w")
	s.Kill()
	s.Restart()
	if got := s.Do("GET", "k"); got != "w" {
		t.Errorf("after kill: %v", got)
	}
	if s.Do("GET", "nothing") != nil {
		t.Error("a missing value is not nil")
	}
}

func TestTryStart_DamagedFile_TellsWhatTheServerSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), []byte("not a dump at all"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := TryStart(t, Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "Wrong signature") {
		t.Errorf("got %v", err)
	}
}

func TestStart_PortTaken_TakesAnother(t *testing.T) {
	a := Start(t, Options{})
	b := &Server{t: t, dir: t.TempDir(), port: a.port}
	t.Cleanup(b.Kill)
	if err := b.start(); err != nil || a.Port() == b.Port() {
		t.Errorf("ports %d and %d, %v", a.Port(), b.Port(), err)
	}
}
