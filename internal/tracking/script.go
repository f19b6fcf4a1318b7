package tracking

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/weburl"
)

//go:embed scripts/*.lua
var scriptFiles embed.FS

// script is one Lua file behind the common text.
type script struct {
	name string
	text string
	sha  string // by which a server that has seen the text knows it
}

// maxBatch is the most pages a script is given at once, so that no call holds
// up the store for long and no unpack outgrows Lua's stack.
const maxBatch = 256

var common = mustRead("_common")

var (
	scriptSubmit        = load("submit")
	scriptClaim         = load("claim")
	scriptExtend        = load("extend")
	scriptDiscover      = load("discover")
	scriptComplete      = load("complete")
	scriptSkip          = load("skip")
	scriptRelease       = load("release")
	scriptFail          = load("fail")
	scriptReap          = load("reap")
	scriptRetry         = load("retry")
	scriptPause         = load("pause")
	scriptResume        = load("resume")
	scriptCancel        = load("cancel")
	scriptProgress      = load("progress")
	scriptAuditPages    = load("audit_pages")
	scriptAuditCounters = load("audit_counters")
)

func mustRead(name string) string {
	b, err := scriptFiles.ReadFile(path.Join("scripts", name+".lua"))
	if err != nil {
		panic(err) // the files are part of the binary
	}
	return string(b)
}

func load(name string) *script { return newScript(name, common+mustRead(name)) }

func newScript(name, text string) *script {
	sum := sha1.Sum([]byte(text))
	return &script{name: name, text: text, sha: hex.EncodeToString(sum[:])}
}

// once is a command that go-redis does not repeat by itself. Repeating is left
// to [Tracker.repeat], which tells the claim script that it is a repetition.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

func (s *script) cmd(ctx context.Context, name, body string, keys []string, args []any) once {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, body, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	cmd := redis.NewCmd(ctx, append(all, args...)...)
	cmd.SetFirstKeyPos(3) // what a Cluster client routes by
	return once{cmd}
}

func (s *script) evalSHA(ctx context.Context, keys []string, args []any) once {
	return s.cmd(ctx, "evalsha", s.sha, keys, args)
}

func (s *script) eval(ctx context.Context, keys []string, args []any) once {
	return s.cmd(ctx, "eval", s.text, keys, args)
}

// run executes a script for a seed. Every script's first argument is the cap of
// the event stream.
func (t *Tracker) run(ctx context.Context, s *script, seed weburl.Seed, args ...any) (reply, error) {
	keys := t.keys(seed)
	args = append([]any{t.options.EventCap}, args...)
	var r reply
	err := t.repeat(ctx, func(int) error {
		cmd := s.evalSHA(ctx, keys, args)
		err := t.client.Process(ctx, cmd)
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			cmd = s.eval(ctx, keys, args)
			err = t.client.Process(ctx, cmd)
		}
		if err != nil {
			return err
		}
		r, err = readReply(cmd.Val())
		return err
	})
	if err != nil {
		return nil, explain(s.name, string(seed), err)
	}
	return r, nil
}

// repeat sends a call until the store has answered it, the tries are spent or
// the context ends. try counts from 0.
func (t *Tracker) repeat(ctx context.Context, send func(try int) error) error {
	wait := 10 * time.Millisecond
	for try := 0; ; try++ {
		err := send(try)
		if !worthRepeating(ctx, err) || try+1 >= t.options.Tries {
			return err
		}
		timer := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-timer.C:
		}
		wait = min(4*wait, 2*time.Second)
	}
}

// reply is the array a script returns: integers and strings, never nested.
type reply []any

func readReply(v any) (reply, error) {
	r, ok := v.([]any)
	if !ok || len(r) == 0 {
		return nil, fmt.Errorf("unexpected reply %v", v)
	}
	return r, nil
}

// text returns element i; elements a script left out are empty.
func (r reply) text(i int) string {
	if i >= len(r) {
		return ""
	}
	switch v := r[i].(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// int returns element i, 0 when it is left out or not a number.
func (r reply) int(i int) int64 {
	if i >= len(r) {
		return 0
	}
	switch v := r[i].(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

func (r reply) is(code string) bool { return r.text(0) == code }

// seconds reads a time in Unix seconds, the zero time for none.
func (r reply) seconds(i int) time.Time {
	n := r.int(i)
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}
