package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/check"
	"limpet/internal/info"
	"limpet/vfs"
)

// trial is a run of limpet persistence-test: what its steps share.
type trial struct {
	stack
	scratch string
	count   int64  // what the counter in the store must say
	found   counts // of the first crawl, which was ended and went on
}

// counts is what the API tells of a seed.
type counts struct {
	Total, Crawled, Failed, Skipped, Pending int64
	InFlight                                 int64 `json:"in_flight"`
	Status                                   string
}

func (n counts) String() string {
	return fmt.Sprintf("%d of %d pages, %s", n.Crawled+n.Failed+n.Skipped, n.Total, n.Status)
}

// patience is how long one thing may take that a step waits for.
const trialPatience = 3 * time.Minute

// until waits for a condition.
func until(ctx context.Context, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers tells whether store and API do.
func answers(ctx context.Context, s stack) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api()+"/health", http.NoBody)
	if err != nil {
		return false
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return false
	}
	_ = r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// do sends one command to the store.
func (t *trial) do(ctx context.Context, args ...any) (any, error) {
	c, err := t.client()
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	reply, err := c.Do(ctx, args...).Result()
	if err != nil {
		return nil, fmt.Errorf("%v: %w", args[0], err)
	}
	return reply, nil
}

func (t *trial) client() (*redis.Client, error) {
	o, err := redis.ParseURL(t.store())
	if err != nil {
		return nil, err
	}
	o.MaxRetries, o.DisableIdentity = -1, true
	return redis.NewClient(o), nil
}

// write writes one more of everything, and is told that it is done.
func (t *trial) write(ctx context.Context) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	n := t.count + 1
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "limpet-test:counter")
		p.Set(ctx, fmt.Sprintf("limpet-test:string:%d", n), n, 0)
		p.RPush(ctx, "limpet-test:list", n)
		p.HSet(ctx, "limpet-test:hash", fmt.Sprint(n), n)
		p.ZAdd(ctx, "limpet-test:zset", redis.Z{Score: float64(n), Member: n})
		return nil
	})
	if err == nil {
		t.count = n
	}
	return err
}

// same compares what the store has with what was acknowledged.
func (t *trial) same(ctx context.Context) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var counter, last *redis.StringCmd
	var list, hash, zset *redis.IntCmd
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		counter, last = p.Get(ctx, "limpet-test:counter"), p.Get(ctx, fmt.Sprintf("limpet-test:string:%d", t.count))
		list, hash, zset = p.LLen(ctx, "limpet-test:list"), p.HLen(ctx, "limpet-test:hash"), p.ZCard(ctx, "limpet-test:zset")
		return nil
	})
	if errors.Is(err, redis.Nil) {
		return errors.New("the data are gone")
	}
	if err != nil {
		return err
	}
	want := fmt.Sprint(t.count)
	for what, got := range map[string]string{
		"the counter": counter.Val(), "the last string": last.Val(), "the list": fmt.Sprint(list.Val()),
		"the hash": fmt.Sprint(hash.Val()), "the sorted set": fmt.Sprint(zset.Val()),
	} {
		if got != want {
			return fmt.Errorf("%s says %s, and %s was acknowledged", what, got, want)
		}
	}
	return nil
}

// written is up, and has acknowledged something more.
func (t *trial) written(ctx context.Context) error {
	if err := t.up(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, t.complaint(ctx))
	}
	return t.write(ctx)
}

// comesBack starts the set-up and compares.
func (t *trial) comesBack(ctx context.Context) (string, error) {
	if err := t.up(ctx); err != nil {
		return "", fmt.Errorf("%w\n%s", err, t.complaint(ctx))
	}
	return fmt.Sprintf("%d of %d writes", t.count, t.count), t.same(ctx)
}

// ask asks the API.
func (t *trial) ask(ctx context.Context, method, path string, body, out any) error {
	r := remote{API: t.api()}
	_, err := r.call(ctx, long, request{method: method, path: path, body: body}, out)
	return err
}

func (t *trial) submit(ctx context.Context, recrawl bool) error {
	return t.ask(ctx, http.MethodPost, "/api/submit", map[string]any{"url": "http://" + t.site() + "/", "max_pages": 0, "recrawl": recrawl}, &submission{})
}

func (t *trial) counts(ctx context.Context) (counts, error) {
	var answer struct{ Progress counts }
	err := t.ask(ctx, http.MethodGet, seedPath(t.site(), ""), nil, &answer)
	return answer.Progress, err
}

// midway waits until some pages are crawled, and wants others to wait.
func (t *trial) midway(ctx context.Context) (n counts, err error) {
	err = until(ctx, "pages to be crawled", func() (bool, error) {
		n, err = t.counts(ctx)
		return n.Crawled >= 20 || n.Status == "completed", err
	})
	if err == nil && n.Pending == 0 {
		err = fmt.Errorf("the crawl was over before it could be disturbed: %s", n)
	}
	return n, err
}

// complete waits for the crawl's end and recounts it.
func (t *trial) complete(ctx context.Context) (n counts, err error) {
	err = until(ctx, "the crawl to be completed", func() (bool, error) {
		n, err = t.counts(ctx)
		return n.Status == "completed", err
	})
	if err != nil {
		return n, fmt.Errorf("%w: %s", err, n)
	}
	var a audit
	if err := t.ask(ctx, http.MethodPost, seedPath(t.site(), "/audit"), nil, &a); err != nil {
		return n, err
	}
	if !a.Clean || a.Total != n.Total || n.Total != n.Crawled+n.Failed+n.Skipped {
		return n, fmt.Errorf("the counts are wrong: %s, and %d differences", n, len(a.Differences))
	}
	return n, nil
}

// limpet runs another command of this program.
func (t *trial) limpet(ctx context.Context, args ...string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, own, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("limpet %s: %s", args[0], lastLine(string(out), err))
	}
	return nil
}

// log surveys the log in the data directory: its manifest and its last file.
func (t *trial) log() (manifest string, last *check.File, err error) {
	r, err := check.Survey(vfs.OS(), t.dir())
	if err != nil {
		return "", nil, err
	}
	if len(r.Logs) != 1 || r.Logs[0].Manifest == "" || len(r.Logs[0].Live()) == 0 {
		return "", nil, fmt.Errorf("there is no log in %s", t.dir())
	}
	live := r.Logs[0].Live()
	return r.Logs[0].Manifest, live[len(live)-1], nil
}

// sound wants files that are.
func (t *trial) sound(ctx context.Context) (*check.Report, error) {
	r, err := check.Inspect(ctx, vfs.OS(), t.dir(), check.Options{})
	if err == nil && r.Verdict != check.Sound {
		err = fmt.Errorf("limpet check: %s", r.Verdict)
	}
	return r, err
}

// bytesOf is the size of all files of the log.
func (t *trial) bytesOf() (n int64, err error) {
	r, err := check.Survey(vfs.OS(), t.dir())
	if err != nil {
		return 0, err
	}
	for _, l := range r.Logs {
		for _, f := range l.Live() {
			info, err := os.Stat(f.Path)
			if err != nil {
				return 0, err
			}
			n += info.Size()
		}
	}
	return n, nil
}

// info is one field of the store's INFO.
func (t *trial) info(ctx context.Context, field string) (string, error) {
	text, err := t.do(ctx, "INFO", "persistence")
	if err != nil {
		return "", err
	}
	fields := info.Parse(fmt.Sprint(text))
	if !fields.Has(field) {
		return "", fmt.Errorf("INFO persistence has no %s", field)
	}
	return fields.Text(field), nil
}

// wipe empties the data directory, which stays.
func (t *trial) wipe() error {
	entries, err := os.ReadDir(t.dir())
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(t.dir(), e.Name())))
	}
	return err
}

// contentsOf is every file of a data directory as it is, but for locks.
func contentsOf(dir string) (map[string]string, error) {
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	return all, err
}
