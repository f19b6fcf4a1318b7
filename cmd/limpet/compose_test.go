//go:build compose

// Tests of infra/ with a real Docker engine: `make test-compose` builds the images
// and runs them. They have a build tag of their own, since they need that.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"limpet/internal/check"
	"limpet/vfs"
)

const (
	composeFilePath = "../../infra/docker-compose.yml"
	// siteOfDocs is nginx with the documentation of Python, of so many pages, as
	// scripts/compose-images.sh builds it.
	siteOfDocs = "limpet-site:nginx"
)

// All steps hold with a crawl of a site that nobody here wrote.
func TestCompose_PersistenceTest_EveryStepHolds(t *testing.T) {
	for _, service := range []string{"redis", "embedded"} {
		t.Run(service, func(t *testing.T) {
			r := execute(t, exec.Command(binary, "persistence-test", "--compose", composeFilePath, "--service", service, "--site-image", siteOfDocs, "--json"))
			steps := r.lines()
			for _, step := range steps {
				t.Logf("%v", step)
				if step["ok"] != true {
					t.Errorf("%v: %v", step["step"], step["detail"])
				}
			}
			if r.code != 0 || len(steps) != len(trialSteps) {
				t.Errorf("exit code %d after %d of %d steps\n%s", r.code, len(steps), len(trialSteps), r.err)
			}
		})
	}
}

// project is the compose file in a project of the test's own, with nginx to crawl.
func project(t *testing.T, service string) (*composeStack, *trial) {
	t.Helper()
	scratch, err := os.MkdirTemp("", "limpet-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(scratch) })
	if err := os.Chmod(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(composeFilePath)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newComposeStack(t.Context(), &persistenceTestCmd{Compose: file, Service: service, Image: siteOfDocs}, scratch)
	if err != nil {
		t.Fatal(err)
	}
	stack := s.(*composeStack)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := stack.run(ctx, nil, "--profile", "archive", "--profile", "monitoring", "down", "--volumes", "--timeout", "5"); err != nil {
			t.Error(err)
		}
	})
	return stack, &trial{stack: stack, scratch: scratch}
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *composeStack) container(t *testing.T, service string) string {
	t.Helper()
	return docker(t, "ps", "-aq", "--filter", "label=com.docker.compose.project="+s.project, "--filter", "label=com.docker.compose.service="+service)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Docker starts a container again by itself, and nothing else with it. The torn
// transaction is cut off all the same, before redis-server sees it.
func TestCompose_RedisRestartedByDockerAlone_CutsBeforeTheTransaction(t *testing.T) {
	s, tr := project(t, "redis")
	must(t, tr.written(t.Context()))
	redis := s.container(t, "redis")
	docker(t, "kill", redis)
	_, last, err := tr.log()
	must(t, err)
	appendTo(t, last.Path, tornTransaction)
	for range 2 {
		docker(t, "start", redis)
		eventually(t, "the data", func() bool { return tr.same(t.Context()) == nil })
		must(t, tr.write(t.Context()))
		docker(t, "kill", redis)
	}
	docker(t, "start", redis)
	eventually(t, "the data", func() bool { return tr.same(t.Context()) == nil })
}

// While one store has the directory, another one is refused, whatever container it
// is in.
func TestCompose_TwoStoresOnOneVolume_TheSecondIsRefused(t *testing.T) {
	s, tr := project(t, "redis")
	must(t, tr.written(t.Context()))
	for _, args := range [][]string{
		{"limpet:local", "up", "--api-addr", "127.0.0.1:0"},
		{"limpet:local", "guard", "--dir", "/data", "--", "redis-server"},
	} {
		out, err := exec.Command("docker", append([]string{"run", "--rm", "-v", s.data + ":/data"}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "Nothing has been changed") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	must(t, tr.same(t.Context()))
}

// The containers run without root, without capabilities and on a root that cannot
// be written; docker stop is over long before the grace period, and nothing is lost.
func TestCompose_ContainersArePoor_AndStopInTime(t *testing.T) {
	for _, service := range []string{"redis", "embedded"} {
		t.Run(service, func(t *testing.T) {
			s, tr := project(t, service)
			must(t, tr.written(t.Context()))
			must(t, tr.submit(t.Context(), false))
			_, err := tr.midway(t.Context())
			must(t, err)
			names := []string{"limpet", "redis"}
			if service == "embedded" {
				names = []string{"embedded"}
			}
			for _, name := range names {
				c := s.container(t, name)
				if got := docker(t, "inspect", "-f", "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Privileged}}", c); got != "999:999 true [ALL] false" {
					t.Errorf("%s: %s", name, got)
				}
				begun := time.Now()
				docker(t, "stop", "--time", "30", c)
				if took := time.Since(begun); took > 15*time.Second {
					t.Errorf("%s took %v to stop", name, took)
				}
				if code := docker(t, "inspect", "-f", "{{.State.ExitCode}}", c); code != "0" {
					t.Errorf("%s: exit code %s\n%s", name, code, docker(t, "logs", "--tail", "5", c))
				}
			}
			r, err := check.Inspect(t.Context(), vfs.OS(), s.data, check.Options{})
			if err != nil || r.Verdict != check.Sound {
				t.Errorf("%v, %v", r.Verdict, err)
			}
			_, err = tr.comesBack(t.Context())
			must(t, err)
			n, err := tr.complete(t.Context())
			must(t, err)
			t.Log(n)
		})
	}
}

// A directory that belongs to somebody else is given to the store's user.
func TestCompose_VolumeOfRoots_IsGivenAway(t *testing.T) {
	s, tr := project(t, "redis")
	must(t, tr.written(t.Context()))
	must(t, s.down(t.Context(), true))
	if out, err := exec.Command("chown", "-R", "0:0", s.data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, err := tr.comesBack(t.Context())
	must(t, err)
}

// Every panel of the dashboard gets data from the Prometheus of the stack, and its
// targets are up.
func TestCompose_Monitoring_EveryPanelHasData(t *testing.T) {
	s, tr := project(t, "redis")
	ports, err := freePorts(1)
	must(t, err)
	port := fmt.Sprintf("LIMPET_PROMETHEUS_PORT=%d", ports[0])
	must(t, tr.written(t.Context()))
	must(t, tr.submit(t.Context(), false))
	_, err = tr.complete(t.Context())
	must(t, err)
	if _, err := s.run(t.Context(), []string{port}, "--profile", "archive", "--profile", "monitoring", "up", "-d", "--no-build", "exporter", "archive", "prometheus"); err != nil {
		t.Fatal(err)
	}
	prometheus := fmt.Sprintf("http://127.0.0.1:%d/api/v1/query?query=", ports[0])
	query := func(expr string) (found int) {
		r, err := http.Get(prometheus + url.QueryEscape(expr))
		if err != nil {
			return 0
		}
		defer func() { _ = r.Body.Close() }()
		var answer struct {
			Status string
			Data   struct{ Result []any }
		}
		if json.NewDecoder(r.Body).Decode(&answer) != nil || answer.Status != "success" {
			return 0
		}
		return len(answer.Data.Result)
	}
	soon := func(what string, holds func() bool) {
		t.Helper()
		must(t, until(t.Context(), what, func() (bool, error) { return holds(), nil }))
	}
	soon("targets that are up", func() bool { return query("up == 1") == 3 })
	text := readFile(t, "../../infra/grafana/dashboards/limpet.json")
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal([]byte(text), &dashboard))
	queries := 0
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			queries++
			soon(fmt.Sprintf("data for %q: %s", p.Title, target.Expr), func() bool { return query(target.Expr) > 0 })
		}
	}
	if queries < 20 {
		t.Errorf("only %d queries", queries)
	}
	if firing := query(`ALERTS{alertstate="firing"}`); firing > 0 {
		t.Errorf("%d alerts fire", firing)
	}
	// What the archiver has shipped can be brought back.
	execute(t, exec.Command(binary, "archive", "--status", "--to", filepath.Join(tr.scratch, "archive"))).printed(0, "newest ")
}

// The image is one program under five names, and runs without root.
func TestCompose_Image_HasTheFiveNames(t *testing.T) {
	for _, name := range []string{"limpet", "redis-server", "redis-cli", "redis-check-aof", "redis-check-rdb"} {
		args := []string{"run", "--rm", "--read-only", "--network", "none", "--entrypoint", name, "limpet:local", "--version"}
		// redis-check-aof knows no --version and says what it is by its usage.
		if out, _ := exec.Command("docker", args...).CombinedOutput(); !regexp.MustCompile(`^(dev|Redis server v=7|redis-c\S+ 7|Usage: redis-check-aof)`).Match(out) {
			t.Errorf("%s: %s", name, out)
		}
	}
	if user := docker(t, "image", "inspect", "-f", "{{.Config.User}}", "limpet:local"); user != "999:999" {
		t.Errorf("the image's user is %s", user)
	}
}

// The commands of docs/persistence.md run as they stand there, one after the other,
// beside a copy of infra/. Names and ports are the test's own.
func TestCompose_Manual_CommandsWork(t *testing.T) {
	s, tr := project(t, "redis")
	for _, name := range []string{"infra", "scripts"} {
		must(t, os.CopyFS(filepath.Join(tr.scratch, name), os.DirFS("../../"+name)))
	}
	must(t, os.MkdirAll(filepath.Join(tr.scratch, "volumes", "redis"), 0o755))
	var env []string
	for _, v := range s.env {
		if !strings.HasPrefix(v, "LIMPET_VOLUME=") && !strings.HasPrefix(v, "LIMPET_ARCHIVE_VOLUME=") && !strings.HasPrefix(v, "PATH=") {
			env = append(env, v)
		}
	}
	env = append(env, "COMPOSE_PROJECT_NAME="+s.project, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	name := s.project + "-redis"
	change := strings.NewReplacer("docker exec redis ", "docker exec "+name+" ", "docker inspect redis ", "docker inspect "+name+" ",
		"localhost:3001", fmt.Sprintf("localhost:%d", s.ports[0]), "docker-compose ", strings.Join(s.compose, " ")+" ")
	ran := 0
	for _, line := range regexp.MustCompile(`(?m)^\$ (.+)$`).FindAllStringSubmatch(readFile(t, "../../docs/persistence.md"), -1) {
		ran++
		command := change.Replace(line[1])
		if strings.Contains(command, "exec "+name) || strings.Contains(command, "curl") {
			// A container that was started a moment ago may still read its files.
			eventually(t, "the containers", func() bool { return answers(t.Context(), s) })
		}
		c := exec.Command("bash", "-o", "pipefail", "-c", command)
		c.Dir, c.Env = tr.scratch, env
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	if ran < 30 {
		t.Errorf("only %d commands found", ran)
	}
}
