package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the linker: -X main.version=1.2.3.
var version = "dev"

// commands is what can be typed behind limpet.
type commands struct {
	Up    upCmd    `cmd:"" group:"service" help:"Run it all: store, HTTP API and crawler."`
	Store storeCmd `cmd:"" group:"service" help:"Run the store alone, a Redis-compatible server."`

	Exporter exporterCmd `cmd:"" group:"service" help:"Serve metrics of a store, its files, archive and backups to Prometheus: Limpet's or any Redis 7's."`

	Submit   submitCmd   `cmd:"" group:"client" help:"Start the crawl of a domain, or join the one that runs."`
	Progress progressCmd `cmd:"" group:"client" help:"Show how far a seed is."`
	Seeds    seedsCmd    `cmd:"" group:"client" help:"List seeds."`
	Pages    pagesCmd    `cmd:"" group:"client" help:"List pages of a seed."`
	Pause    pauseCmd    `cmd:"" group:"client" help:"Let pages in flight finish, start no others."`
	Resume   resumeCmd   `cmd:"" group:"client" help:"Go on with a paused seed."`
	Cancel   cancelCmd   `cmd:"" group:"client" help:"Skip all pages that wait, for good."`
	Retry    retryCmd    `cmd:"" group:"client" help:"Queue failed pages again."`
	Audit    auditCmd    `cmd:"" group:"client" help:"Count a seed anew and compare."`
	Export   exportCmd   `cmd:"" group:"client" help:"Write the features of crawled pages as JSON lines or CSV."`

	Check   checkCmd   `cmd:"" group:"files" help:"Say whether a store's files are sound, and what is wrong where. Only reads."`
	Repair  repairCmd  `cmd:"" group:"files" help:"Make a sound store out of damaged files: a plan first, then a new directory."`
	Stat    statCmd    `cmd:"" group:"files" help:"Show what a store does, live: operations, memory, log, disk, archive."`
	Rewrite rewriteCmd `cmd:"" group:"files" help:"Have a store rewrite its log, and show how far it is."`
	Du      duCmd      `cmd:"" group:"files" help:"Say what takes the disk and the memory, from files alone."`

	Backup  backupCmd  `cmd:"" group:"backup" help:"Back a data directory up while its server runs: ours, Redis's or Valkey's."`
	Backups backupsCmd `cmd:"" group:"backup" help:"List backups."`
	Restore restoreCmd `cmd:"" group:"backup" help:"Fill an empty directory with a backup, or with any moment of an archive."`
	Verify  verifyCmd  `cmd:"" group:"backup" help:"Restore backups into a scratch directory, load them, and compare."`
	Prune   pruneCmd   `cmd:"" group:"backup" help:"Delete old backups, and what an archive need not reach back to."`
	Archive archiveCmd `cmd:"" group:"backup" help:"Archive a data directory continuously, so that any second can be brought back."`
	History historyCmd `cmd:"" group:"backup" help:"Show what happened, to a key or to all, from an archive."`

	Doctor doctorCmd `cmd:"" group:"files" help:"Look for what will lose data one day: files, server, compose file, machine."`
	Guard  guardCmd  `cmd:"" group:"files" help:"Look at the files, cut a torn end off, and become the server that they belong to."`

	PersistenceTest persistenceTestCmd `cmd:"" group:"service" help:"Try on this machine whether data and counts survive what they must: down -v, kill -9, a torn log, a wipe."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

// terminal is the side of the program that a person or a script sees.
type terminal struct {
	out, err *os.File
}

func main() {
	if run := personality(os.Args[0]); run != nil {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(run(os.Args[1:], terminal{os.Stdout, os.Stderr}))
}

func run(args []string, t terminal) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on the next one ends the program at once.
	defer context.AfterFunc(ctx, stop)()

	var c commands
	parser, err := newParser(&c, t)
	if err != nil {
		return t.report(err, false)
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "store":
		args = append(args[:1:1], splitStoreArgs(args[1:])...)
	}
	parsed, err := parser.Parse(joinMoments(args))
	if err != nil {
		return t.report(misuse(err), false)
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(t)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return t.report(err, wantsJSON(parsed))
}

func newParser(c *commands, t terminal) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("limpet"),
		kong.Description("A feature crawler that never loses its place."),
		kong.Vars{"version": version},
		kong.Writers(t.out, t.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "service", Title: "Service:"},
			{Key: "client", Title: "Clients of a running service:"},
			{Key: "files", Title: "A store's files, Limpet's or a real Redis's:"},
			{Key: "backup", Title: "Backups and archives, of any Redis 7:"},
			{Key: "remote", Title: "Which service:"},
		}),
	)
}

func wantsJSON(parsed *kong.Context) bool {
	for _, flag := range parsed.Flags() {
		if flag.Name == "json" {
			return flag.Target.Bool()
		}
	}
	return false
}
