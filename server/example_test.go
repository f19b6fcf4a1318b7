package server_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/redis/go-redis/v9"

	"limpet"
	"limpet/server"
	"limpet/vfs"
)

// A whole Redis server. It ends with ctx, or when a client sends SHUTDOWN.
func ExampleServe() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem()}) // no FS: the real files
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(ctx, db, l) }()

	client := redis.NewClient(&redis.Options{Addr: l.Addr().String()})
	fmt.Println(client.Incr(ctx, "visits").Result())

	_ = client.Close()
	stop()
	fmt.Println(<-served, db.Close())
	// Output:
	// 1 <nil>
	// <nil> <nil>
}

// go-redis over the store of the same process: what is written for a Redis server
// runs on it as it is, and moves to one by another Options.
func ExampleServer_Dial() {
	ctx := context.Background()
	db, err := limpet.Open("/data", &limpet.Options{FS: vfs.NewMem()})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s := server.New(db, server.Options{})
	defer func() { _ = s.Close() }()
	client := redis.NewClient(&redis.Options{Dialer: s.Dial})
	defer func() { _ = client.Close() }()

	if err := client.HSet(ctx, "whelk", "legs", 0, "shells", 1).Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(client.HGet(ctx, "whelk", "shells").Int())

	shells, err := db.Do(ctx, "HGET", "whelk", "shells") // the same store
	fmt.Println(shells, err)
	// Output:
	// 1 <nil>
	// "1" <nil>
}
