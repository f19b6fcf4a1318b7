package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"limpet/internal/archive"
)

// historyCmd shows what happened, from an archive.
type historyCmd struct {
	fromFlag
	Key   string `placeholder:"KEY" help:"Only what may have changed this key."`
	Since string `placeholder:"TIME" help:"Only from this moment on; as with limpet restore --at."`
	Until string `placeholder:"TIME" help:"Only up to this moment."`
	JSON  bool   `name:"json" help:"Print JSON, one command a line."`
	secretFlags
}

// Run prints one command a line, oldest first. It fails with exitNo when there is
// none.
func (c *historyCmd) Run(ctx context.Context, t terminal) error {
	q, err := c.query(time.Now())
	if err != nil {
		return failf(exitUsage, "%s", err).with("help:   limpet history --help")
	}
	store, err := openTarget(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	a, release, err := openArchive(ctx, store, c.secretFlags, "history")
	if err != nil {
		return explainArchive(err, c.From)
	}
	defer release()
	out := bufio.NewWriter(t.out)
	var writeErr error
	none := true
	err = a.History(ctx, q, func(e archive.Event) error {
		none = none && e.Command == nil
		writeErr = c.show(out, e)
		return writeErr
	})
	if writeErr == nil {
		writeErr = out.Flush()
	}
	if writeErr != nil {
		return asLocal(writeErr)
	}
	switch {
	case err != nil:
		return explainArchive(err, c.From)
	case none:
		return &failure{code: exitNo}
	}
	return nil
}

func (c *historyCmd) query(now time.Time) (q archive.Query, err error) {
	if c.Key != "" {
		q.Key = []byte(c.Key)
	}
	if c.Since != "" {
		if q.Since, err = parseMoment(c.Since, now); err != nil {
			return q, fmt.Errorf("--since %w", err)
		}
	}
	if c.Until != "" {
		if q.Until, err = parseMoment(c.Until, now); err != nil {
			return q, fmt.Errorf("--until %w", err)
		}
	}
	return q, nil
}

// historyLine is a command as --json prints it, or the beginning of a timeline.
type historyLine struct {
	Timeline uint64    `json:"timeline"`
	At       time.Time `json:"at"`
	Begins   string    `json:"begins,omitempty"` // why; the fields below are absent then
	Clock    string    `json:"clock,omitempty"`  // server: by #TS; archiver: when it was read
	Number   uint64    `json:"number,omitempty"`
	DB       *int      `json:"db,omitempty"`
	Command  string    `json:"command,omitempty"` // in redis-cli's notation
}

func (c *historyCmd) show(out *bufio.Writer, e archive.Event) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(historyLineOf(e))
	}
	if s := e.Begins; s != nil {
		_, err := fmt.Fprintf(out, "# timeline %d, from %s: %s\n", s.Number, onClock(s.Started), s.Why)
		return err
	}
	cmd := e.Command
	_, err := fmt.Fprintf(out, "%s  command %d  db%d  %s\n", dated(cmd.At, cmd.Stamped), cmd.Number, cmd.DB, shown(cmd.Args))
	return err
}

func historyLineOf(e archive.Event) historyLine {
	if s := e.Begins; s != nil {
		return historyLine{Timeline: s.Number, At: s.Started, Begins: s.Why}
	}
	cmd := e.Command
	line := historyLine{Timeline: cmd.Timeline, At: cmd.At, Clock: "archiver", Number: cmd.Number, DB: &cmd.DB}
	if cmd.Stamped {
		line.Clock = "server"
	}
	for i, arg := range cmd.Args {
		if i > 0 {
			line.Command += " "
		}
		line.Command += quoted(arg)
	}
	return line
}
