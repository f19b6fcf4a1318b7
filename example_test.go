package limpet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"limpet"
	"limpet/resp"
	"limpet/vfs"
)

// The snippets of docs/library.md are lines of these examples; a test sees to it.

func Example() {
	dir, err := os.MkdirTemp("", "limpet")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	for range 2 { // what is there the first time is there the second
		db, err := limpet.Open(dir, &limpet.Options{Fsync: limpet.Always})
		if err != nil {
			log.Fatal(err)
		}
		visits, err := db.Do(context.Background(), "INCR", "visits")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(visits)
		if err := db.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1
	// 2
}

// inMemory opens a store for an example.
func inMemory() *limpet.DB {
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem()})
	if err != nil {
		log.Fatal(err)
	}
	return db
}

func ExampleDB_Do() {
	db := inMemory()
	defer func() { _ = db.Close() }()
	ctx := context.Background()

	if _, err := db.Do(ctx, "ZADD", "scores", 7, "limpet", 3.5, "whelk"); err != nil {
		log.Fatal(err)
	}
	reply, err := db.Do(ctx, "ZRANGE", "scores", 0, -1, "REV")
	if err != nil {
		log.Fatal(err)
	}
	names, err := reply.AsStrings()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(names)

	reply, err = db.Do(ctx, "GET", "nobody")
	_, missing := reply.AsString()
	fmt.Println(err, errors.Is(missing, resp.ErrNull))

	_, err = db.Do(ctx, "INCR", "scores")
	fmt.Println(err) // a resp.ServerError
	// Output:
	// [limpet whelk]
	// <nil> true
	// WRONGTYPE Operation against a key holding the wrong kind of value
}

// One hand-over, and under Always one sync, for all of them. An error is the reply
// of its own command.
func ExampleDB_Pipeline() {
	db := inMemory()
	defer func() { _ = db.Close() }()
	ctx := context.Background()

	p := db.Pipeline()
	p.Do("HSET", "whelk", "legs", 0, "shells", 1)
	p.Do("INCR", "whelk")
	p.Do("HGETALL", "whelk")
	replies, err := p.Exec(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, reply := range replies {
		fmt.Println(reply)
	}
	whelk, err := replies[2].AsStringMap()
	fmt.Println(whelk["shells"], err)
	// Output:
	// 2
	// (error) WRONGTYPE Operation against a key holding the wrong kind of value
	// ["legs" "0" "shells" "1"]
	// 1 <nil>
}

// After a crash there is all of it or nothing.
func ExampleDB_TxPipeline() {
	db := inMemory()
	defer func() { _ = db.Close() }()
	ctx := context.Background()

	tx := db.TxPipeline()
	tx.Do("INCR", "total")
	tx.Do("SADD", "pages", "/")
	replies, err := tx.Exec(ctx)
	fmt.Println(replies, err)
	// Output:
	// [1 1] <nil>
}

// A transaction that depends on what was read is tried until nobody has changed it
// in between.
func ExampleSession_TxPipeline() {
	db := inMemory()
	defer func() { _ = db.Close() }()
	ctx := context.Background()

	s := db.Session("example", "")
	defer s.Close()
	for {
		if _, err := s.Do(ctx, "WATCH", "balance"); err != nil {
			log.Fatal(err)
		}
		reply, err := s.Do(ctx, "GET", "balance")
		if err != nil {
			log.Fatal(err)
		}
		balance, err := reply.AsInt()
		if err != nil && !errors.Is(err, resp.ErrNull) { // null: there is none yet
			log.Fatal(err)
		}
		tx := s.TxPipeline()
		tx.Do("SET", "balance", balance+100)
		tx.Do("RPUSH", "bookings", "+100")
		_, err = tx.Exec(ctx)
		if errors.Is(err, limpet.ErrWatched) {
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		break
	}
	reply, err := db.Do(ctx, "GET", "balance")
	fmt.Println(reply, err)
	// Output:
	// "100" <nil>
}

// What a server does: requests in, replies in the protocol out.
func ExampleSession_Exec() {
	db := inMemory()
	defer func() { _ = db.Close() }()
	s := db.Session("example", "example")
	defer s.Close()

	var batch limpet.Batch
	for _, request := range [][]string{{"MULTI"}, {"INCR", "total"}, {"SADD", "pages", "/"}, {"EXEC"}} {
		var args [][]byte
		for _, word := range request {
			args = append(args, []byte(word))
		}
		batch.Add(args)
	}
	var out resp.Writer
	ticket := s.Exec(&batch, &out)
	if err := s.Wait(ticket); err != nil { // not to be shown before they are durable
		log.Fatal(err)
	}
	fmt.Printf("%q", out.Buf)
	// Output:
	// "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n"
}

func ExampleDB_Snapshot() {
	db := inMemory()
	defer func() { _ = db.Close() }()
	ctx := context.Background()
	if _, err := db.Do(ctx, "SET", "greeting", "hello"); err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "limpet")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	file, err := os.Create(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		log.Fatal(err)
	}
	err = errors.Join(db.Snapshot(ctx, file), file.Sync(), file.Close())
	if err != nil {
		log.Fatal(err) // what is in the file is of no use
	}

	copied, err := limpet.Open(dir, nil) // or: redis-server --dir …
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = copied.Close() }()
	reply, err := copied.Do(ctx, "GET", "greeting")
	fmt.Println(reply, err)
	// Output:
	// "hello" <nil>
}

// To any writer: here into memory, to look at how it begins.
func ExampleDB_Snapshot_writer() {
	db := inMemory()
	defer func() { _ = db.Close() }()

	var dump bytes.Buffer
	if err := db.Snapshot(context.Background(), &dump); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(dump.String(), "REDIS0010"))
	// Output:
	// true
}

func ExampleDB_Stats() {
	db := inMemory()
	defer func() { _ = db.Close() }()
	ctx := context.Background()
	if _, err := db.Do(ctx, "SET", "session", "…", "EX", 60); err != nil {
		log.Fatal(err)
	}

	s := db.Stats()
	fmt.Printf("%d keys in database 0, %d with a deadline\n", s.Keys[0], s.Volatile[0])
	fmt.Printf("%d commands, sync %v\n", s.Commands, s.Fsync)
	if s.LogError != nil {
		fmt.Println("writes are refused:", s.LogError)
	}
	// Output:
	// 1 keys in database 0, 1 with a deadline
	// 1 commands, sync everysec
}
