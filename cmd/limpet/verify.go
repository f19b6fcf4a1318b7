package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"limpet/internal/backup"
	"limpet/internal/target"
)

type verifyCmd struct {
	fromFlag
	ID      string `name:"id" placeholder:"ID" xor:"which" help:"Which backup, or how its id begins; the newest without it."`
	All     bool   `xor:"which" help:"All backups."`
	Scratch string `env:"LIMPET_SCRATCH" placeholder:"DIR" help:"Where they are restored to and loaded; the system's place for temporary files without it."`
	Gently  bool   `negatable:"" default:"true" help:"Leave processor and disk to others."`
	JSON    bool   `help:"Print the proofs as JSON, one line for each backup."`
	secretFlags
}

// Run verifies backups. It fails with exitNo when one is bad.
func (c *verifyCmd) Run(ctx context.Context, t terminal) error {
	if c.Gently {
		beGentle()
	}
	s, err := openTarget(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	which, err := c.which(ctx, s)
	if err != nil {
		return explainTarget(err)
	}
	keys, err := c.secretFlags.open(ctx, s, false)
	if err != nil {
		return err
	}
	dir, remove, err := scratch(c.Scratch)
	if err != nil {
		return err
	}
	defer remove()
	o := backup.VerifyOptions{
		RestoreOptions: backup.RestoreOptions{Keys: keys, Host: hostName()},
		Tool:           toolName(), Scratch: dir, Loaders: loaders(ctx, dir),
	}
	bad := 0
	for _, l := range which {
		p, err := backup.Verify(ctx, s, &l, o)
		var gone *backup.NotFoundError
		switch {
		case c.All && errors.As(err, &gone): // pruned meanwhile
			continue
		case err != nil:
			return explainTarget(err)
		case !p.OK:
			bad++
		}
		if err := c.tell(t, &l, p); err != nil {
			return err
		}
	}
	if bad > 0 {
		return failf(exitNo, "") // the result has said it
	}
	return nil
}

func (c *verifyCmd) which(ctx context.Context, s *target.Store) ([]backup.Listed, error) {
	if !c.All {
		l, err := backup.Find(ctx, s, c.ID)
		if err != nil {
			return nil, err
		}
		return []backup.Listed{*l}, nil
	}
	all, err := backup.List(ctx, s)
	if err == nil && len(all) == 0 {
		err = &backup.NotFoundError{Target: s.String()}
	}
	return all, err
}

func (c *verifyCmd) tell(t terminal, l *backup.Listed, p *backup.Proof) error {
	if c.JSON {
		return printJSON(t, struct {
			ID string `json:"id"`
			*backup.Proof
		}{l.ID, p})
	}
	verdict := "good"
	if !p.OK {
		verdict = "BAD"
	}
	text := fmt.Sprintf("%s: %s\n  files: %s", l.ID, verdict, p.Files)
	for _, d := range p.Drills {
		text += fmt.Sprintf("\n  %s: %s", d.Loader, d.Result)
		if d.Took > 0 {
			text += fmt.Sprintf(", %d keys, %s", d.Keys, d.Took.Round(time.Millisecond))
		}
	}
	return t.print("%s", text)
}
