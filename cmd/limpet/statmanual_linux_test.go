package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"limpet/internal/testredis"
)

func TestManual_OfStat_RunsAsItStands(t *testing.T) {
	dir := shortDir(t)
	data := filepath.Join(dir, "volumes", "redis")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	s := testredis.Start(t, testredis.Options{Dir: data, Args: withLog})
	fillAll(s)
	s.Do("SAVE")
	if ran := runPage(t, "stat.md", dir, strings.NewReplacer("127.0.0.1:6379", s.Addr())); ran != 8 {
		t.Errorf("%d commands in it", ran)
	}
}
