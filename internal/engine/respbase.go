package engine

import (
	"strconv"

	"limpet/aof"
	"limpet/internal/command"
	"limpet/internal/keyspace"
	"limpet/vfs"
)

// respForm writes a dump as the commands that make it anew. Keys come in the
// order of the walk, which changes between databases at any time.
type respForm struct {
	e  *Engine
	d  *dump
	db int // selected
}

// begin writes one command at least: a base of no bytes would be taken for no
// log at all.
func (f *respForm) begin(d *dump) error {
	f.d, f.db = d, command.NoDB
	var b []byte
	if f.e.options.Timestamps {
		b = aof.AppendTimestamp(b, f.e.clock.Now())
	}
	_, err := d.Write(f.sel(b, 0))
	return err
}

func (f *respForm) entry(db int, key string, e keyspace.Entry) error {
	f.d.spool = keyspace.AppendCommands(f.sel(f.d.spool, db), key, e)
	f.d.measure()
	return nil
}

func (f *respForm) end() error { return nil }

func (f *respForm) sel(b []byte, db int) []byte {
	if f.db == db {
		return b
	}
	f.db = db
	return aof.AppendCommand(b, "SELECT", strconv.Itoa(db))
}

// createBase creates a file for a new base and tells how it is to be written.
//
// Function libraries have no other place than an RDB here: no command for them is
// understood. While there are some, bases are RDBs whatever the setting says.
func (e *Engine) createBase() (vfs.File, form, error) {
	e.mu.Lock()
	resp := e.options.RESPBase && len(e.functions) == 0
	e.mu.Unlock()
	if resp {
		file, err := e.files.CreateTempRESPBase()
		return file, &respForm{e: e}, err
	}
	file, err := e.files.CreateTempBase()
	return file, &rdbForm{e: e, isBase: true}, err
}
