package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// composeStack is a docker-compose file's set-up in a project of its own.
type composeStack struct {
	compose []string // docker-compose or docker compose
	files   []string // -f FILE …
	project string
	service string // redis or embedded
	data    string
	ports   []int // of the API and of the store
	env     []string
}

// siteService is what the test adds to a compose file: something to crawl.
const siteService = `services:
  site:
    image: %s
    networks: {default: {aliases: [site.test]}}
`

func newComposeStack(ctx context.Context, c *persistenceTestCmd, scratch string) (stack, error) {
	if _, err := os.Stat(c.Compose); err != nil {
		return nil, failf(exitLocal, "cannot read %s: %s", c.Compose, reason(err))
	}
	command, err := findCompose(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, failf(exitLocal, "no free port: %s", reason(err))
	}
	project := strings.ReplaceAll(filepath.Base(scratch), "persistence-", "")
	s := &composeStack{
		compose: command, project: project, service: c.Service, data: filepath.Join(scratch, "redis"), ports: ports,
	}
	for _, v := range os.Environ() {
		// Settings of the user's own are not what is tried here.
		if !strings.HasPrefix(v, "LIMPET_") && !strings.HasPrefix(v, "COMPOSE_") || strings.HasPrefix(v, "LIMPET_IMAGE=") {
			s.env = append(s.env, v)
		}
	}
	s.env = append(s.env, "LIMPET_VOLUME="+s.data, "LIMPET_ARCHIVE_VOLUME="+filepath.Join(scratch, "archive"),
		"LIMPET_REDIS_NAME="+project+"-redis", fmt.Sprintf("LIMPET_API_PORT=%d", ports[0]), fmt.Sprintf("LIMPET_REDIS_PORT=%d", ports[1]),
		"LIMPET_LEASE=5s", "LIMPET_MAX_PAGES=0", "LIMPET_ALLOW_NET=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16")
	if uid := os.Getuid(); uid != 0 {
		s.env = append(s.env, fmt.Sprintf("LIMPET_UID=%d", uid), fmt.Sprintf("LIMPET_GID=%d", os.Getgid()))
	}
	added := filepath.Join(scratch, "site.yml")
	image := c.Image
	if image == "" {
		image = "${LIMPET_IMAGE:-limpet:local}\n    command: [persistence-test, --serve-site, \"0.0.0.0:80\"]"
	}
	if err := os.WriteFile(added, fmt.Appendf(nil, siteService, image), 0o644); err != nil {
		return nil, failf(exitLocal, "%s", err)
	}
	s.files = []string{"-f", c.Compose, "-f", added}
	return s, s.safe(ctx)
}

// findCompose finds docker compose 2 or docker-compose, and an engine that answers.
func findCompose(ctx context.Context) ([]string, error) {
	if out, err := exec.CommandContext(ctx, "docker", "info").CombinedOutput(); err != nil {
		return nil, failf(exitLater, "no Docker engine answers: %s", lastLine(string(out), err)).
			with("look:   docker info").
			with("get:    apt-get install docker.io docker-compose, or https://docs.docker.com/engine/install/").
			with("else:   limpet persistence-test --embedded needs none")
	}
	if exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}, nil
	}
	if _, err := exec.LookPath("docker-compose"); err == nil {
		return []string{"docker-compose"}, nil
	}
	return nil, failf(exitLater, "there is neither docker compose nor docker-compose").
		with("get:    apt-get install docker-compose, or https://docs.docker.com/compose/install/")
}

// safe refuses a file that would have the test touch what is not its own.
func (s *composeStack) safe(ctx context.Context) error {
	out, err := s.run(ctx, nil, "config")
	if err != nil {
		return failf(exitLocal, "the compose file cannot be read: %s", err)
	}
	var file struct {
		Services map[string]struct {
			ContainerName string `yaml:"container_name"`
			Volumes       []any
		}
	}
	if err := yaml.Unmarshal([]byte(out), &file); err != nil {
		return failf(exitLocal, "the compose file cannot be read: %s", err)
	}
	foreign := func(format string, args ...any) error {
		return failf(exitRefused, format, args...).
			with("The test would run on data, or in the place, of something else. Nothing has been started.").
			with("mend:   take LIMPET_VOLUME, LIMPET_REDIS_NAME, LIMPET_REDIS_PORT and LIMPET_API_PORT in, as infra/docker-compose.yml does")
	}
	for _, name := range []string{"limpet", "embedded", "redis", "check"} {
		service, ok := file.Services[name]
		if !ok && name == s.service {
			return failf(exitRefused, "the compose file has no service %s", name)
		}
		if service.ContainerName != "" && !strings.HasPrefix(service.ContainerName, s.project) {
			return foreign("the container of service %s is called %s, whatever the project", name, service.ContainerName)
		}
		for _, v := range service.Volumes {
			source, target := "", ""
			switch v := v.(type) {
			case string:
				parts := strings.Split(v, ":")
				if source = parts[0]; len(parts) > 1 {
					target = parts[1]
				}
			case map[string]any:
				source, target = fmt.Sprint(v["source"]), fmt.Sprint(v["target"])
			}
			if target == "/data" && source != s.data {
				return foreign("service %s has its data in %s, whatever LIMPET_VOLUME says", name, source)
			}
		}
	}
	return nil
}

// run runs compose and gives what it printed; its complaints are in the error.
func (s *composeStack) run(ctx context.Context, settings []string, args ...string) (string, error) {
	line := append(append(append([]string{}, s.compose[1:]...), s.files...), "-p", s.project, "--profile", "embedded")
	c := exec.CommandContext(ctx, s.compose[0], append(line, args...)...)
	c.Env = append(append([]string{}, s.env...), settings...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	// A signal to the terminal is for the test, which then tidies up with these.
	if err := c.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %s", strings.Join(s.compose, " "), args[0], lastLine(errs.String(), err))
	}
	return out.String(), nil
}

// lastLine is where commands say what was wrong.
func lastLine(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return err.Error()
}

func (s *composeStack) String() string {
	return fmt.Sprintf("%s, service %s, as project %s", s.files[1], s.service, s.project)
}
func (s *composeStack) dir() string   { return s.data }
func (s *composeStack) store() string { return fmt.Sprintf("redis://127.0.0.1:%d", s.ports[1]) }
func (s *composeStack) api() string   { return fmt.Sprintf("http://127.0.0.1:%d", s.ports[0]) }
func (s *composeStack) site() string  { return "site.test" }

// wanted is the services that are started, with what they depend on.
func (s *composeStack) wanted() []string {
	if s.service == "embedded" {
		return []string{"embedded", "site"}
	}
	return []string{"limpet", "site"}
}

func (s *composeStack) up(ctx context.Context, settings ...string) error {
	if answers(ctx, s) && len(settings) == 0 {
		return nil
	}
	// It waits for health checks and for what must end before.
	starting, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if _, err := s.run(starting, settings, append([]string{"up", "-d", "--no-build"}, s.wanted()...)...); err != nil {
		return err
	}
	return until(ctx, "the containers to answer", func() (bool, error) { return answers(ctx, s), nil })
}

func (s *composeStack) down(ctx context.Context, volumes bool) error {
	args := []string{"down", "--timeout", "30"}
	if volumes {
		args = append(args, "--volumes")
	}
	_, err := s.run(ctx, nil, args...)
	return err
}

func (s *composeStack) kill(ctx context.Context) error {
	args := []string{"kill", "-s", "KILL"}
	if s.service == "redis" {
		args = append(args, "redis")
	}
	_, err := s.run(ctx, nil, append(args, s.wanted()[0])...)
	return err
}

func (s *composeStack) remove(ctx context.Context) error {
	_, err := s.run(ctx, nil, "down", "--volumes", "--remove-orphans", "--timeout", "5")
	return err
}

func (s *composeStack) stranger(ctx context.Context) (string, error) {
	line := append(append(append([]string{}, s.compose[1:]...), s.files...), "-p", s.project,
		"run", "--rm", "--no-deps", "-T", "-u", "4321:4321", "check", "guard", "--dir", "/data")
	c := exec.CommandContext(ctx, s.compose[0], line...)
	c.Env = s.env
	out, err := c.CombinedOutput()
	if err == nil {
		return string(out), errors.New("it has started")
	}
	return string(out), nil
}

func (s *composeStack) complaint(ctx context.Context) string {
	out, err := s.run(ctx, nil, "logs", "--no-color", "--tail", "20", "check", s.service)
	if err != nil {
		return err.Error()
	}
	return out
}
