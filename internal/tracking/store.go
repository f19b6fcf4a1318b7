package tracking

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// UnfitError says why a store cannot keep the promise.
type UnfitError struct{ Findings []Finding }

func (e *UnfitError) Error() string {
	messages := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		messages[i] = f.Message
	}
	return "tracking: store cannot keep count through a crash: " + strings.Join(messages, "; ")
}

// Refusal makes an *[UnfitError] of the fatal findings, nil when there are none.
func Refusal(findings []Finding) error {
	var fatal []Finding
	for _, f := range findings {
		if f.Fatal {
			fatal = append(fatal, f)
		}
	}
	if len(fatal) == 0 {
		return nil
	}
	return &UnfitError{fatal}
}

// CheckStore looks whether the store is set up so that counts survive a crash.
// The error is for a store that cannot be asked.
func (t *Tracker) CheckStore(ctx context.Context) ([]Finding, error) {
	if c, ok := t.client.(*redis.ClusterClient); ok {
		return t.checkCluster(ctx, c)
	}
	return t.checkNode(ctx, t.client, "")
}

func (t *Tracker) checkCluster(ctx context.Context, c *redis.ClusterClient) ([]Finding, error) {
	type answer struct {
		findings []Finding
		err      error
	}
	answers := make(chan answer)
	done := make(chan error, 1)
	go func() {
		done <- c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			findings, err := t.checkNode(ctx, node, node.Options().Addr+": ")
			answers <- answer{findings, err}
			return err
		})
		close(answers)
	}()
	var all []Finding
	var errs error
	for a := range answers {
		all = append(all, a.findings...)
		errs = errors.Join(errs, a.err)
	}
	return all, errors.Join(errs, <-done)
}

// checkNode asks one server; where names it in the findings.
func (t *Tracker) checkNode(ctx context.Context, c redis.UniversalClient, where string) ([]Finding, error) {
	info, err := c.Info(ctx).Result()
	if err != nil {
		return nil, explain("check", "store", err)
	}
	var findings []Finding
	find := func(fatal bool, code, message string, args ...any) {
		findings = append(findings, Finding{Code: code, Fatal: fatal, Message: where + fmt.Sprintf(message, args...)})
	}
	if v := infoField(info, "redis_version"); olderThan(v, 6, 2) {
		find(true, "too-old", "version %s: want 6.2 or newer", v)
	}
	if infoField(info, "role") == "slave" {
		find(true, "replica", "it is a replica, which takes no writes: name its master")
	}
	if infoField(info, "cluster_enabled") == "1" && !t.options.HashTags {
		find(true, "cluster-names", "it is part of a Cluster, and keys are named for one server: connect to it as a Cluster")
	}
	if infoField(info, "aof_enabled") == "0" {
		find(true, "appendonly-off", "appendonly is off, a crash loses everything since the last save: redis-cli CONFIG SET appendonly yes")
	}
	if s := infoField(info, "aof_last_write_status"); s != "" && s != "ok" {
		find(true, "aof-failing", "the last write to its log failed: look at its disk, and at its own log")
	}
	if infoField(info, "run_id") == "" {
		find(false, "no-run-id", "it tells no run_id: a restart goes unnoticed, so run an audit after one")
	}
	for _, check := range []struct {
		name  string
		judge func(value string)
	}{
		{"appendfsync", func(v string) {
			if v == "no" {
				find(false, "appendfsync-no", "appendfsync is no, a power cut loses up to half a minute: redis-cli CONFIG SET appendfsync everysec")
			}
		}},
		{"maxmemory-policy", func(v string) {
			if v != "" && v != "noeviction" {
				limited := infoField(info, "maxmemory") != "0"
				find(limited, "eviction", "maxmemory-policy is %s, which throws keys away when memory is short: redis-cli CONFIG SET maxmemory-policy noeviction", v)
			}
		}},
	} {
		values, err := c.ConfigGet(ctx, check.name).Result()
		if err != nil {
			find(false, "no-config", "%s cannot be read: %v", check.name, err)
			continue
		}
		check.judge(values[check.name])
	}
	return findings, nil
}

// olderThan compares a version like 7.0.15; one that is none is not judged.
func olderThan(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	have, err1 := strconv.Atoi(parts[0])
	and, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (have < major || have == major && and < minor)
}
