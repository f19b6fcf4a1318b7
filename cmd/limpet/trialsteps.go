package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// trialSteps are the steps of limpet persistence-test, in their order. Each leaves
// the set-up in any state, and begins with what it needs.
var trialSteps = []struct {
	name string
	try  func(*trial, context.Context) (detail string, err error)
}{
	{"the files are there, laid out as Redis 7's", (*trial).tryLayout},
	{"data survive down", func(t *trial, ctx context.Context) (string, error) { return t.tryDown(ctx, false) }},
	{"data survive down -v", func(t *trial, ctx context.Context) (string, error) { return t.tryDown(ctx, true) }},
	{"a crawl's progress survives down -v, and goes on", (*trial).tryProgress},
	{"data and counts survive kill -9 in the middle", (*trial).tryKill},
	{"a backup brings back what was wiped", (*trial).tryBackup},
	{"a torn transaction is cut off whole, twice over", (*trial).tryTornTail},
	{"damage is refused, and nothing is touched", (*trial).tryDamage},
	{"wrong permissions are explained", (*trial).tryPermissions},
	{"appendfsync always, everysec, no: what was written stays", (*trial).tryPolicies},
	{"log and RDB together", (*trial).tryBoth},
	{"a rewrite shrinks the log", (*trial).tryRewrite},
}

func (t *trial) tryLayout(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	manifest, last, err := t.log()
	if err != nil {
		return "", err
	}
	if want := filepath.Join(t.dir(), "appendonlydir", "appendonly.aof.manifest"); manifest != want {
		return "", fmt.Errorf("the manifest is %s, want %s", manifest, want)
	}
	if _, err := t.sound(ctx); err != nil {
		return "", err
	}
	return "appendonlydir/ with manifest, base and " + last.Name, nil
}

func (t *trial) tryDown(ctx context.Context, volumes bool) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	if err := t.down(ctx, volumes); err != nil {
		return "", err
	}
	return t.comesBack(ctx)
}

func (t *trial) tryProgress(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	if err := t.submit(ctx, false); err != nil {
		return "", err
	}
	if _, err := t.midway(ctx); err != nil {
		return "", err
	}
	if err := t.ask(ctx, "POST", seedPath(t.site(), "/pause"), nil, &struct{}{}); err != nil {
		return "", err
	}
	var before counts
	err := until(ctx, "pages in flight to end", func() (quiet bool, err error) {
		before, err = t.counts(ctx)
		return before.InFlight == 0, err
	})
	if err != nil {
		return "", err
	}
	if err := t.down(ctx, true); err != nil {
		return "", err
	}
	if _, err := t.comesBack(ctx); err != nil {
		return "", err
	}
	after, err := t.counts(ctx)
	if err != nil {
		return "", err
	}
	if after != before {
		return "", fmt.Errorf("before %s; after %s", before, after)
	}
	if err := t.ask(ctx, "POST", seedPath(t.site(), "/resume"), nil, &struct{}{}); err != nil {
		return "", err
	}
	t.found, err = t.complete(ctx)
	return fmt.Sprintf("paused and back at %s; then %s", before, t.found), err
}

func (t *trial) tryKill(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	if err := t.submit(ctx, true); err != nil {
		return "", err
	}
	at, err := t.midway(ctx)
	if err != nil {
		return "", err
	}
	if err := t.write(ctx); err != nil {
		return "", err
	}
	if err := t.kill(ctx); err != nil {
		return "", err
	}
	if _, err := t.comesBack(ctx); err != nil {
		return "", err
	}
	after, err := t.complete(ctx)
	if err == nil && t.found.Total > 0 && after != t.found {
		err = fmt.Errorf("%s (%d crawled), and an undisturbed crawl finds %s (%d crawled)", after, after.Crawled, t.found, t.found.Crawled)
	}
	return fmt.Sprintf("killed after %d pages; then %s, as without", at.Crawled, after), err
}

func (t *trial) tryBackup(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	backups := filepath.Join(t.scratch, "backups")
	if err := t.limpet(ctx, "backup", "--dir", t.dir(), "--to", backups); err != nil {
		return "", err
	}
	if err := t.down(ctx, true); err != nil {
		return "", err
	}
	if err := t.wipe(); err != nil {
		return "", err
	}
	if err := t.limpet(ctx, "restore", "--from", backups, "--to", t.dir()); err != nil {
		return "", err
	}
	return t.comesBack(ctx)
}

// tornTransaction is what a power cut leaves of a transaction.
const tornTransaction = "*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$19\r\nlimpet-test:counter\r\n*3\r\n$5\r\nRPUSH\r\n$16\r\nlimpet-te"

func (t *trial) tryTornTail(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	if err := t.kill(ctx); err != nil {
		return "", err
	}
	_, last, err := t.log()
	if err != nil {
		return "", err
	}
	f, err := os.OpenFile(last.Path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(tornTransaction)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	// The second start is the one that makes wrong counts of a bad cut.
	for range 2 {
		if _, err := t.comesBack(ctx); err != nil {
			return "", err
		}
		if err := t.write(ctx); err != nil {
			return "", err
		}
		if err := t.down(ctx, false); err != nil {
			return "", err
		}
	}
	kept, err := filepath.Glob(last.Path + ".cut-*")
	if err == nil && len(kept) == 0 {
		err = errors.New("what was cut off is nowhere kept")
	}
	if err != nil {
		return "", err
	}
	if _, err := t.comesBack(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d bytes kept in %s", len(tornTransaction), filepath.Base(kept[0])), nil
}

func (t *trial) tryDamage(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	if err := t.down(ctx, false); err != nil {
		return "", err
	}
	_, last, err := t.log()
	if err != nil {
		return "", err
	}
	whole, err := os.ReadFile(last.Path)
	if err != nil {
		return "", err
	}
	at := strings.Index(string(whole), "limpet-test")
	if at < 8 {
		return "", fmt.Errorf("%s does not hold what was written last", last.Name)
	}
	if err := patch(last.Path, int64(at)-2, "XX"); err != nil {
		return "", err
	}
	before, err := contentsOf(t.dir())
	if err != nil {
		return "", err
	}
	upErr := t.up(ctx)
	said := t.complaint(ctx)
	_ = t.down(ctx, false)
	after, err := contentsOf(t.dir())
	switch {
	case upErr == nil:
		err = errors.New("it has started")
	case !strings.Contains(said, last.Name) || !strings.Contains(said, "Nothing has been changed"):
		err = fmt.Errorf("it does not say what is wrong: %s", said)
	case err == nil && !maps.Equal(before, after):
		err = errors.New("it has changed the files")
	}
	err = errors.Join(err, patch(last.Path, int64(at)-2, string(whole[at-2:at])))
	if err != nil {
		return "", err
	}
	if _, err := t.comesBack(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("refused at byte %d of %s", at-2, last.Name), nil
}

// patch overwrites bytes in the middle of a file.
func patch(path string, at int64, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), at)
	return errors.Join(err, f.Close())
}

func (t *trial) tryPermissions(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	if err := t.down(ctx, false); err != nil {
		return "", err
	}
	said, err := t.stranger(ctx)
	if err == nil && (!strings.Contains(said, "writable for user") || !strings.Contains(said, "Nothing has been changed")) {
		err = fmt.Errorf("what it says does not help: %s", said)
	}
	if err != nil {
		return "", err
	}
	if _, err := t.comesBack(ctx); err != nil {
		return "", err
	}
	return "says for whom, whose it is and what to type", nil
}

func (t *trial) tryPolicies(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	for _, policy := range []string{"always", "everysec", "no"} {
		if _, err := t.do(ctx, "CONFIG", "SET", "appendfsync", policy); err != nil {
			return "", err
		}
		if err := t.write(ctx); err != nil {
			return "", err
		}
	}
	if err := t.kill(ctx); err != nil {
		return "", err
	}
	if err := t.up(ctx, "LIMPET_APPENDFSYNC=always"); err != nil {
		return "", err
	}
	reply, err := t.do(ctx, "CONFIG", "GET", "appendfsync")
	if err != nil {
		return "", err
	}
	if !strings.Contains(fmt.Sprint(reply), "always") {
		return "", fmt.Errorf("started with always, CONFIG GET says %v", reply)
	}
	return "switched at run time and at start", t.same(ctx)
}

func (t *trial) tryBoth(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	for _, command := range [][]any{{"CONFIG", "SET", "save", "3600 1"}, {"BGSAVE"}} {
		if _, err := t.do(ctx, command...); err != nil {
			return "", err
		}
	}
	if err := t.idle(ctx, "rdb_bgsave_in_progress"); err != nil {
		return "", err
	}
	if err := t.write(ctx); err != nil { // later than the dump
		return "", err
	}
	if err := t.kill(ctx); err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(t.dir(), "dump.rdb")); err != nil {
		return "", errors.New("there is no dump.rdb")
	}
	if _, err := t.comesBack(ctx); err != nil {
		return "", err
	}
	_, err := t.sound(ctx)
	return "dump.rdb is there, and the log, which is newer, counts", err
}

// idle waits until something of INFO persistence is over.
func (t *trial) idle(ctx context.Context, field string) error {
	return until(ctx, field+" to be 0", func() (bool, error) {
		v, err := t.info(ctx, field)
		return v == "0", err
	})
}

func (t *trial) tryRewrite(ctx context.Context) (string, error) {
	if err := t.written(ctx); err != nil {
		return "", err
	}
	c, err := t.client()
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	p := c.Pipeline()
	for i := range 20000 {
		p.Set(ctx, "limpet-test:again", i, 0)
	}
	if _, err := p.Exec(ctx); err != nil {
		return "", err
	}
	if err := t.idle(ctx, "aof_rewrite_in_progress"); err != nil {
		return "", err
	}
	before, err := t.bytesOf()
	if err != nil {
		return "", err
	}
	if _, err := t.do(ctx, "BGREWRITEAOF"); err != nil {
		return "", err
	}
	for _, field := range []string{"aof_rewrite_scheduled", "aof_rewrite_in_progress"} {
		if err := t.idle(ctx, field); err != nil {
			return "", err
		}
	}
	after, err := t.bytesOf()
	if err != nil {
		return "", err
	}
	if after >= before {
		return "", fmt.Errorf("%s before, %s after", bytesText(before), bytesText(after))
	}
	if err := t.down(ctx, true); err != nil {
		return "", err
	}
	if _, err := t.comesBack(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s before, %s after", bytesText(before), bytesText(after)), nil
}
