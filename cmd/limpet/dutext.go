package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"limpet/internal/usage"
)

// classText says what files are for.
var classText = map[usage.Class]string{
	usage.Manifest: "names the files of the log",
	usage.Base:     "the data as of the last rewrite",
	usage.Incr:     "the commands since then",
	usage.Dump:     "the last save",
	usage.History:  "replaced by a rewrite, about to be removed",
	usage.Orphan:   "NAMED BY NO MANIFEST",
	usage.Temp:     "of a rewrite or save that runs, or left by a crash",
	usage.Cut:      "torn off the end of a log, kept for you to look at",
	usage.OldLog:   "the log of a Redis before 7",
	usage.Other:    "not the store's",
}

// text is a report for people.
func (c *duCmd) text(r *duReport) string {
	var w told
	if r.Disk != nil {
		c.diskText(&w, r.Disk)
	}
	if s := r.Saving; s != nil {
		if s.Bytes != nil {
			w.linef("  a rewrite would save about %s of the log, leaving %s (estimate: %s)", bytesText(*s.Bytes), bytesText(*s.After), s.How)
		} else {
			w.linef("  how much a rewrite would save is not known: %s", s.How)
		}
		if r.Memory == nil {
			w.linef("  by keys:  %s --memory", c.again())
		}
	}
	if r.Memory != nil {
		c.memoryText(&w, r.Memory)
	}
	for _, note := range r.Notes {
		w.linef("note: %s", note)
	}
	if r.Unread != "" {
		w.linef("NOT READ: %s", r.Unread)
		place := c.Dir
		if r.Disk == nil {
			place = c.Path
		}
		w.linef("  look:   limpet check %s", place)
	}
	return strings.TrimSuffix(w.String(), "\n")
}

func (c *duCmd) again() string { return "limpet du --dir " + c.Dir }

func (c *duCmd) diskText(w *told, d *usage.Disk) {
	w.linef("%s: %s in %s", d.Dir, bytesText(d.Bytes), count(len(d.Files), "file"))
	for i, f := range d.Files {
		if c.Top > 0 && i == c.Top {
			w.linef("  and %d files more", len(d.Files)-i)
			break
		}
		w.linef("  %10s %5.1f %%  %-8s  %s  (%s)", bytesText(f.Bytes), usage.Share(f.Bytes, d.Bytes), f.Class, f.Name, classText[f.Class])
	}
	if d.Of(usage.Orphan) > 0 {
		w.linef("  There are files that look like the log's and are not named by it: a server does not read them, and may write over them.")
		w.linef("  look:   limpet check %s", d.Dir)
	}
	if d.Problem != "" {
		w.linef("  NOT READ: %s", d.Problem)
		w.linef("  look:   limpet check %s", d.Dir)
	}
}

func (c *duCmd) memoryText(w *told, m *duMemory) {
	w.linef("")
	at := ""
	if m.AsOf != nil {
		at = ", " + onClock(*m.AsOf)
	}
	w.linef("memory: about %s in %d keys, %d of them with a deadline (%s)", bytesText(m.Bytes), m.Keys, m.WithTTL, m.Kind)
	w.linef("  read:   %s%s", m.Source, at)
	if len(m.Groups) == 0 {
		return
	}
	several := false
	for _, g := range m.Groups {
		several = several || g.DB != m.Groups[0].DB
	}
	w.linef("  %10s %7s %10s %10s  %s", "bytes", "share", "keys", "deadline", "pattern, types, the biggest")
	for i, g := range m.Groups {
		if c.Top > 0 && i == c.Top {
			w.linef("  and %s more (--top 0)", count(len(m.Groups)-i, "pattern"))
			break
		}
		name := g.Pattern
		if several {
			name = fmt.Sprintf("db%d %s", g.DB, g.Pattern)
		}
		w.linef("  %10s %5.1f %% %10d %10d  %s  %s", bytesText(g.Bytes), g.Share, g.Keys, g.WithTTL, name, c.detail(g))
	}
}

// detail is the types of a group, and its biggest key where there are several.
func (c *duCmd) detail(g usage.Group) string {
	var types []string
	for _, kind := range slices.Sorted(maps.Keys(g.Types)) {
		text := kind
		if len(g.Types) > 1 {
			text = fmt.Sprintf("%d %s", g.Types[kind], kind)
		}
		types = append(types, text)
	}
	text := "(" + strings.Join(types, ", ")
	if g.Keys > 1 {
		text += fmt.Sprintf("; %s in %.60q", bytesText(g.Biggest.Bytes), g.Biggest.Name)
	}
	return text + ")"
}
