package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The doctor has nothing to say of our own compose file.
func TestInfra_ComposeFile_PleasesTheDoctor(t *testing.T) {
	execute(t, exec.Command(binary, "doctor", "--compose", "../../infra/docker-compose.yml")).printed(0, "Nothing found.")
}

// Every variable of the compose file that is Limpet's own is one that the program
// reads, or one of the few that the file itself has.
func TestInfra_ComposeFile_NamesVariablesThatThereAre(t *testing.T) {
	const own = " LIMPET_IMAGE LIMPET_UID LIMPET_GID LIMPET_VOLUME LIMPET_ARCHIVE_VOLUME LIMPET_REDIS_NAME " +
		"LIMPET_REDIS_PORT LIMPET_API_PORT LIMPET_PROMETHEUS_PORT LIMPET_GRAFANA_PORT "
	manual := readFile(t, "../../docs/cli.md")
	names := regexp.MustCompile(`LIMPET_[A-Z_]+`).FindAllString(readFile(t, "../../infra/docker-compose.yml"), -1)
	if len(names) < 20 {
		t.Errorf("only %d variables", len(names))
	}
	for _, name := range names {
		if !strings.Contains(own, " "+name+" ") && !strings.Contains(manual, "`"+name+"`") {
			t.Errorf("infra/docker-compose.yml has %s, which nothing reads", name)
		}
	}
}

// systemd takes the unit, where there is one to ask.
func TestInfra_SystemdUnit_IsVerified(t *testing.T) {
	unit := readFile(t, "../../infra/systemd/limpet.service")
	if !strings.Contains(unit, "ProtectSystem=strict") || !strings.Contains(unit, "StateDirectory=limpet") {
		t.Error("the unit is not hardened")
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Log("systemd-analyze is not installed, so only the text was looked at")
		return
	}
	path := filepath.Join(t.TempDir(), "limpet.service")
	writeFile(t, path, strings.ReplaceAll(unit, "/usr/local/bin/limpet", binary))
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
