package engine

import (
	"errors"
	"runtime"
	"strconv"

	"limpet/internal/command"
	"limpet/internal/keyspace"
	"limpet/rdb"
)

// rdbForm writes a dump as an RDB.
type rdbForm struct {
	e *Engine
	// isBase marks the base of a log: in it, keys past their deadline are kept,
	// since the log says when they go.
	isBase bool
	enc    *rdb.Encoder
	key    []byte // of the entry, used again for the next one
	values keyspace.Packer
}

func (f *rdbForm) begin(d *dump) error {
	f.enc = rdb.NewEncoder(d, rdb.EncoderOptions{})
	err := f.header()
	d.snap.DBSizes(func(db, keys, volatile int) {
		err = errors.Join(err, f.enc.SelectDB(db), f.enc.ResizeDB(keys, volatile))
	})
	return err
}

func (f *rdbForm) entry(db int, key string, e keyspace.Entry) error {
	f.key = append(f.key[:0], key...)
	return f.enc.Entry(rdb.Entry{DB: db, Key: f.key, ExpireAtMs: e.Deadline, Value: f.values.ToRDB(e.Object)})
}

func (f *rdbForm) end() error { return f.enc.Close() }

// header writes the facts that Redis writes.
func (f *rdbForm) header() error {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return errors.Join(
		f.enc.Aux("redis-ver", command.RedisVersion),
		f.enc.Aux("redis-bits", "64"),
		f.enc.Aux("ctime", strconv.FormatInt(f.e.clock.Now().Unix(), 10)),
		f.enc.Aux("used-mem", strconv.FormatUint(m.HeapAlloc, 10)),
		f.enc.Aux("aof-base", strconv.Itoa(flag(f.isBase))),
		f.functions(),
	)
}

// functions carries the function libraries of the files that were loaded. They
// cannot be called here, but a real Redis that takes over finds them again.
func (f *rdbForm) functions() error {
	for _, source := range f.e.functions {
		if err := f.enc.Function(source); err != nil {
			return err
		}
	}
	return nil
}
