package main

import (
	"fmt"
	"path/filepath"
	"time"
)

// settle is how long a server is left alone before its memory is read.
const settle = 3 * time.Second

// memory measures what a data set takes: resident, after it was sent over a
// socket, and again after a restart.
func (b *bench) memory() error {
	title("### Resident memory", "data", "redis, MB", "limpet, MB", "ratio (rounds)")
	for _, set := range []struct {
		data dataset
		n    int
	}{{smallStrings, b.keys}, {smallHashes, b.keys / 5}} {
		var filled, restarted pair
		for _, name := range names {
			dir := filepath.Join(b.dir, "memory-"+name+"-"+set.data.name)
			first, second, err := b.resident(name, dir, set.data, set.n)
			if err != nil {
				return err
			}
			filled.add(name, first)
			restarted.add(name, second)
		}
		row(fmt.Sprintf("%d %s", set.n, set.data.name), filled, "%.0f")
		row("the same after a restart", restarted, "%.0f")
	}
	return nil
}

const megabyte = 1 << 20

func (b *bench) resident(name, dir string, data dataset, n int) (filled, restarted float64, err error) {
	p, err := b.start(name, dir, "everysec")
	if err != nil {
		return 0, 0, err
	}
	err = p.fill(data, n)
	time.Sleep(settle)
	filled = p.status("VmRSS") / megabyte
	p.stop()
	if err != nil {
		return 0, 0, err
	}
	if p, err = b.start(name, dir, "everysec"); err != nil {
		return 0, 0, err
	}
	time.Sleep(settle)
	restarted = p.status("VmRSS") / megabyte
	p.stop()
	return filled, restarted, nil
}
