package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// loading measures a start: from exec to the first answer, on the same bytes.
func (b *bench) loading() error {
	title(fmt.Sprintf("### Start with %d small strings", b.keys), "from", "redis, s", "limpet, s", "ratio (rounds)")
	log := filepath.Join(b.dir, "log")
	if err := writeLog(log, smallStrings, b.keys); err != nil {
		return err
	}
	if err := b.loads("a plain log of commands", log); err != nil {
		return err
	}
	p, err := b.start("redis", log, "everysec")
	if err != nil {
		return err
	}
	_, err = p.rewrite(b)
	p.stop()
	if err != nil {
		return err
	}
	return b.loads("an RDB base (Redis wrote it)", log)
}

// loads starts both servers in turn on copies of a directory.
func (b *bench) loads(what, dir string) error {
	var seconds pair
	for _, name := range names {
		if err := exec.CommandContext(b.ctx, "cp", "-r", dir, dir+"-"+name).Run(); err != nil {
			return err
		}
	}
	for range b.rounds {
		for _, name := range names {
			p, err := b.start(name, dir+"-"+name, "everysec")
			if err != nil {
				return err
			}
			seconds.add(name, p.took.Seconds())
			p.stop()
		}
	}
	row(what, seconds, "%.2f")
	return exec.CommandContext(b.ctx, "rm", "-r", dir+"-redis", dir+"-limpet").Run()
}
