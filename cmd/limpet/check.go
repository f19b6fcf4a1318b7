package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"limpet/internal/check"
	"limpet/vfs"
)

type checkCmd struct {
	Path string `arg:"" help:"Data directory, append-only directory, manifest, log or RDB, of Limpet's or of a real Redis's."`
	JSON bool   `name:"json" help:"Print the report as JSON."`
}

// Help follows the summary in `limpet check --help`.
func (c *checkCmd) Help() string {
	return "It only reads, and may be used beside a running server. " +
		"Exit code 0: sound; 10: only the end of the log is torn; 11: damaged. docs/repair.md explains the findings."
}

// Run says of each file whether it is sound. The answer's exit code is the
// verdict.
func (c *checkCmd) Run(ctx context.Context, t terminal) error {
	bar := newBytesBar(t, "checking")
	r, err := check.Inspect(ctx, vfs.OS(), c.Path, check.Options{Begin: bar.begin, Progress: bar.add})
	bar.end()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, fs.ErrNotExist):
		return failf(exitLocal, "cannot check %s: there is no such file or directory", c.Path)
	case err != nil:
		return failf(exitLocal, "cannot check %s: %s", c.Path, reason(err)).with("look:   ls -la %s", filepath.Dir(c.Path))
	}
	told := &told{r: r}
	if c.JSON {
		text, err := json.Marshal(struct {
			*check.Report
			Next []string `json:"next,omitempty"`
		}{r, told.next()})
		if err != nil {
			return err
		}
		err = t.print("%s", text)
		if err != nil {
			return err
		}
	} else if err := t.print("%s", told.text()); err != nil {
		return err
	}
	if code := verdictCode(r.Verdict); code != 0 {
		return &failure{code: code}
	}
	return nil
}

func verdictCode(v check.Verdict) int {
	return map[check.Verdict]int{check.Sound: 0, check.Torn: exitMild, check.Damaged: exitSevere}[v]
}

// told words a report for people.
type told struct {
	r *check.Report
	strings.Builder
}

func (w *told) linef(format string, args ...any) {
	w.WriteString(printable(fmt.Sprintf(format, args...)) + "\n")
}

func (w *told) text() string {
	w.linef("%s: %s", w.r.Path, w.r.Verdict)
	for _, l := range w.r.Logs {
		if l.Manifest != "" && l.Names != nil {
			w.linef("  %s: sound, names %d files", w.short(l.Manifest), len(l.Names.Live()))
		}
		w.problems(l.Manifest, l.Problems)
		for _, f := range l.Files {
			w.file(f)
		}
	}
	for _, f := range w.r.Dumps {
		w.file(f)
	}
	w.problems("", w.r.Problems)
	for _, line := range w.next() {
		w.linef("  %s", line)
	}
	return strings.TrimSuffix(w.String(), "\n")
}

// short is a path as seen from what was checked.
func (w *told) short(path string) string {
	if rel, err := filepath.Rel(w.r.Path, path); err == nil && rel != "." && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

func (w *told) file(f *check.File) {
	name := w.short(f.Path)
	if f.Verdict() == check.Sound && f.Role != check.RoleOther {
		w.linef("  %s: sound, %s", name, w.holds(f))
	}
	w.problems(f.Path, f.Problems)
	if f.Verdict() != check.Sound && len(f.Problems) > 0 && f.Problems[0].Code != check.Missing {
		w.linef("    intact before it: %s, up to byte %d of %d", w.holds(f), f.Intact, f.Size)
	}
}

// holds is what is intact in a file.
func (w *told) holds(f *check.File) string {
	var parts []string
	if f.Role == check.RoleHistory {
		return fmt.Sprintf("%d bytes that a rewrite has replaced", f.Size)
	}
	if f.Keys > 0 || f.Role == check.RoleDump || f.RDB > 0 {
		parts = append(parts, count(f.Keys, "key"))
	}
	if f.Role != check.RoleDump && (f.Commands > 0 || f.RDB == 0) {
		parts = append(parts, count(f.Commands, "command"))
	}
	if f.From != nil {
		parts = append(parts, fmt.Sprintf("%s to %s", f.From.Format("2006-01-02T15:04:05Z"), f.To.Format("2006-01-02T15:04:05Z")))
	}
	return strings.Join(parts, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (w *told) problems(path string, problems []check.Problem) {
	for _, p := range problems {
		where := ""
		if path != "" {
			where = w.short(path) + ": "
		}
		at := ""
		if p.Offset > 0 || p.Command > 0 {
			at = fmt.Sprintf(" at byte %d", p.Offset)
		}
		if p.Command > 0 {
			at += fmt.Sprintf(", in command %d", p.Command)
		}
		kind := map[check.Verdict]string{check.Sound: "note", check.Torn: "torn", check.Damaged: "DAMAGED"}[p.Verdict]
		w.linef("  %s%s (%s)%s: %s", where, kind, p.Code, at, p.Text)
	}
}

// next is what is safe and what to type.
func (w *told) next() (lines []string) {
	path := strings.TrimRight(w.r.Path, "/")
	switch {
	case w.r.Verdict == check.Sound, len(w.r.Logs)+len(w.r.Dumps) == 0:
		return nil
	case w.r.Verdict == check.Torn:
		lines = append(lines, "Nothing has been changed. Limpet cuts the unfinished end off at its next start and keeps it beside; a real redis-server may not.")
	default:
		lines = append(lines, "Nothing has been changed. Do not start a redis-server on it before it is mended.")
	}
	path = wholeStore(path)
	return append(lines,
		fmt.Sprintf("plan:   limpet repair --from %s --to %s", typedPath(path), typedPath(mendedName(path))),
		"        (shows what would be kept and what cut, and asks)")
}

// wholeStore is what is mended instead of a file that others belong to.
func wholeStore(path string) string {
	for _, part := range []string{".base.rdb", ".base.aof", ".incr.aof", ".manifest"} {
		if strings.HasSuffix(path, part) {
			return filepath.Join(filepath.Dir(path), "..")
		}
	}
	return path
}

// mendedName is what may be written beside what is damaged, with the ending that
// a file has.
func mendedName(path string) string {
	path = strings.TrimRight(path, "/")
	switch ext := filepath.Ext(path); ext {
	case ".aof", ".rdb":
		return strings.TrimSuffix(path, ext) + ".mended" + ext
	}
	return path + ".mended"
}

// typedPath is a path as it is typed into a shell.
func typedPath(path string) string { return shellescape.Quote(path) }
