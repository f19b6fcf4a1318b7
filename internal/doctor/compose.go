package doctor

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"limpet/vfs"
)

// composeFile is what is read of a docker-compose file. Most things may be
// written in two ways, so they are taken as they come.
type composeFile struct {
	Services map[string]composeService `yaml:"services"`
}

type composeService struct {
	Image       string `yaml:"image"`
	Command     any    `yaml:"command"`
	Entrypoint  any    `yaml:"entrypoint"`
	Environment any    `yaml:"environment"`
	Volumes     []any  `yaml:"volumes"`
	Ports       []any  `yaml:"ports"`
	Tmpfs       any    `yaml:"tmpfs"`
}

// compose looks at every Redis or Valkey in a docker-compose file.
func (e *examination) compose() {
	text, err := vfs.ReadFile(e.FS, e.Compose)
	var file composeFile
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err != nil {
		e.add(ComposeBad, Warning, "the compose file cannot be read", "docker compose config", "%s: %v", e.Compose, err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(file.Services)) {
		s := file.Services[name]
		if s.Image = withDefaults(s.Image); isRedis(s.Image) {
			e.image = s.Image
			e.service(name, s)
		}
	}
}

// withDefaults puts in the defaults of variables; their values are not known here.
func withDefaults(text string) string {
	return regexp.MustCompile(`\$\{\w+:?-([^}]*)\}`).ReplaceAllString(text, "$1")
}

func isRedis(image string) bool {
	name, _, _ := strings.Cut(path.Base(image), ":")
	name, _, _ = strings.Cut(name, "@")
	for _, other := range []string{"exporter", "commander", "insight", "cli", "sentinel"} {
		if strings.Contains(name, other) {
			return false
		}
	}
	return strings.HasPrefix(name, "redis") || strings.HasPrefix(name, "valkey")
}

func (e *examination) service(name string, s composeService) {
	where := fmt.Sprintf("service %s of %s", name, e.Compose)
	e.volumes(where, s)
	e.tag(where, s.Image)
	words := flat(s.Entrypoint) + " " + flat(s.Command)
	configured := strings.Contains(words, ".conf")
	logs := strings.Contains(strings.ToLower(words), "--appendonly yes")
	if logs {
		e.wants = "--appendonly yes in " + where
	}
	if !logs && !configured {
		e.add(ComposeAOFOff, Warning, "the log is not switched on: a crash loses everything since the last save point", "command: redis-server --appendonly yes", "%s: command %q", where, strings.TrimSpace(words))
	}
	env := strings.ToUpper(flat(s.Environment))
	guarded := configured || strings.Contains(words, "--requirepass") || strings.Contains(env, "REDIS_PASSWORD") || strings.Contains(env, "VALKEY_PASSWORD")
	for _, port := range s.Ports {
		if host, open := published(port); open && !guarded {
			e.add(ComposeOpenPort, Critical, "the port is open on every address of the host, and nobody needs a password: the image switches protected-mode off", "ports: [\"127.0.0.1:6379:6379\"], or leave ports out", "%s: ports %s", where, host)
		}
	}
}

// volumes looks for what is mounted where the server keeps its files.
func (e *examination) volumes(where string, s composeService) {
	targets := []string{"/data", "/bitnami/redis/data", "/bitnami/valkey/data"}
	if strings.Contains(" "+flat(s.Tmpfs)+" ", " /data") {
		e.add(ComposeNoVolume, Critical, "the data directory lives in memory", "volumes: [./volumes/redis:/data]", "%s: tmpfs /data", where)
		return
	}
	for _, volume := range s.Volumes {
		source, target, kind := "", "", ""
		switch v := volume.(type) {
		case string:
			parts := strings.Split(withDefaults(v), ":")
			if target = parts[0]; len(parts) > 1 {
				source, target = parts[0], parts[1]
			}
		case map[string]any:
			source, target, kind = text(v["source"]), text(v["target"]), text(v["type"])
		}
		if !slices.Contains(targets, path.Clean(target)) {
			continue
		}
		switch {
		case kind == "tmpfs":
			e.add(ComposeNoVolume, Critical, "the data directory lives in memory", "volumes: [./volumes/redis:/data]", "%s: tmpfs %s", where, target)
		case source == "":
			e.add(ComposeAnonymous, Critical, "the volume has no name: every docker compose down leaves it behind, and the next up starts empty with another", "volumes: [./volumes/redis:/data]", "%s: volume %s", where, target)
		case !strings.ContainsAny(source[:1], "./~$") && kind != "bind":
			e.add(ComposeNamed, Info, "docker compose down -v deletes the volume and all data with it", "volumes: [./volumes/redis:/data] survives that", "%s: volume %s", where, source)
		}
		return
	}
	e.add(ComposeNoVolume, Critical, "nothing is mounted where the server keeps its files: the data are gone with the container", "volumes: [./volumes/redis:/data]", "%s: no volume at /data", where)
}

// tag looks for one behind which the format of the files may change.
func (e *examination) tag(where, image string) {
	if strings.Contains(image, "@sha256:") || strings.Contains(image, "$") {
		return
	}
	_, tag, _ := strings.Cut(path.Base(image), ":")
	if !regexp.MustCompile(`^\d+\.\d+`).MatchString(tag) {
		e.add(ComposeTag, Warning, "the image's tag moves on: a pull can bring a server whose files the one before cannot read, so that there is no way back", "image: redis:7.2.6, or another full version", "%s: image %s", where, image)
	}
}

// published tells whether a port can be reached from other machines.
func published(port any) (spelled string, open bool) {
	switch p := port.(type) {
	case map[string]any:
		host := text(p["host_ip"])
		return fmt.Sprintf("%v (host_ip %q)", p["target"], host), host == "" || !strings.HasPrefix(host, "127.") && host != "::1"
	default:
		spelled = withDefaults(text(p))
		return spelled, !strings.HasPrefix(spelled, "127.") && !strings.HasPrefix(spelled, "[::1]") && !strings.HasPrefix(spelled, "localhost:")
	}
}

// flat is a value as one line of words, however it was written.
func flat(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		var parts []string
		for _, part := range v {
			parts = append(parts, flat(part))
		}
		return strings.Join(parts, " ")
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+"="+flat(v[key]))
		}
		return strings.Join(parts, " ")
	}
	return withDefaults(text(v))
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
