package main

import (
	"os"
	"path/filepath"

	"limpet/internal/check"
	"limpet/internal/cli"
	"limpet/vfs"
)

// personalities are the programs that this one is when it is called by their
// name, through a link: redis-cli -> limpet. args is the command line without
// the name, the answer the exit code. docs/redis-names.md describes them.
var personalities = map[string]func(args []string) int{
	"redis-cli": func(args []string) int {
		return cli.Program{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: version}.Main(args)
	},
	"redis-server":    func(args []string) int { return redisServer(args, terminal{os.Stdout, os.Stderr}) },
	"redis-check-aof": func(args []string) int { return checker().AOF(args) },
	"redis-check-rdb": func(args []string) int { return checker().RDB(args) },
}

func checker() check.Tool {
	return check.Tool{FS: vfs.OS(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: version}
}

// personality finds the program that a command's name asks for, nil for limpet
// itself.
func personality(command string) func(args []string) int {
	return personalities[filepath.Base(command)]
}
