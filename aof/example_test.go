package aof_test

import (
	"bytes"
	"fmt"
	"io"

	"limpet/aof"
	"limpet/vfs"
)

// printer shows what a replay finds.
type printer struct{}

func (printer) Begin(f aof.PlannedFile)           { fmt.Println(f.Name) }
func (printer) Preamble(io.Reader) (int64, error) { return 0, fmt.Errorf("no RDB here") }
func (printer) Unit(u aof.Unit) error {
	for _, c := range u.Commands {
		fmt.Printf("  %s\n", bytes.Join(c.Args, []byte(" ")))
	}
	return nil
}

// start opens the log in a data directory and makes it ready for appending.
func start(fsys vfs.FS, home string) (*aof.Dir, *aof.Writer, error) {
	d, err := aof.OpenDir(fsys, home, aof.Options{})
	if err != nil {
		return nil, nil, err
	}
	plan, err := d.Load()
	if err != nil {
		return nil, nil, err
	}
	if _, err := plan.Replay(printer{}); err != nil {
		return nil, nil, err
	}
	w, err := d.OpenIncr()
	return d, w, err
}

func Example() {
	disk := vfs.NewMem() // vfs.OS() in earnest
	d, w, err := start(disk, "/data")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = w.Append(aof.AppendCommand(nil, "SET", "greeting", "hello"))
	w, err = d.Rotate(w)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = w.Append(aof.AppendCommand(nil, "DEL", "greeting"))
	_ = w.Sync()
	_ = w.Close()

	if _, _, err := start(disk, "/data"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// appendonly.aof.1.incr.aof
	//   SET greeting hello
	// appendonly.aof.2.incr.aof
	//   DEL greeting
}
