package limpet_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"limpet"
	"limpet/resp"
	"limpet/vfs"
)

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
		v, err := db.Do(context.Background(), "INCR", "visits")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(v.Int)
		if err := db.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 1
	// 2
}

func ExampleDB_Do() {
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem()}) // nil for the real one
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ctx := context.Background()

	if _, err := db.Do(ctx, "ZADD", "scores", 7, "limpet", 3, "whelk"); err != nil {
		log.Fatal(err)
	}
	best, err := db.Do(ctx, "ZRANGE", "scores", 0, 0, "REV")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(best.Elems[0].Text())

	_, err = db.Do(ctx, "INCR", "scores")
	fmt.Println(err) // a resp.ServerError
	// Output:
	// limpet
	// WRONGTYPE Operation against a key holding the wrong kind of value
}

// A session is a connection without a socket: it can hold a transaction, and it
// runs many requests at the price of one hand-over.
func ExampleSession() {
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem(), Fsync: limpet.Always})
	if err != nil {
		log.Fatal(err)
	}
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
