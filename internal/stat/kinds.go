package stat

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// kind is what a command does to keys.
type kind int

const (
	neither kind = iota
	read
	write
)

// kinds asks a server which of its commands read and which write, by the names
// that INFO commandstats gives them: in lower case, "xinfo|stream". It is empty
// where the server does not say.
func kinds(ctx context.Context, client redis.UniversalClient) map[string]kind {
	found := map[string]kind{}
	reply, err := client.Do(ctx, "COMMAND").Slice()
	if err != nil {
		return found
	}
	for _, c := range reply {
		addKind(found, c)
	}
	return found
}

// addKind reads one command: name, arity, flags, …, and in the tenth place its
// subcommands.
func addKind(found map[string]kind, command any) {
	fields, ok := command.([]any)
	if !ok || len(fields) < 3 {
		return
	}
	name, _ := fields[0].(string)
	flags, _ := fields[2].([]any)
	for _, f := range flags {
		switch flag, _ := f.(string); strings.TrimPrefix(flag, "+") {
		case "write":
			found[strings.ToLower(name)] = write
		case "readonly":
			found[strings.ToLower(name)] = read
		}
	}
	if len(fields) > 9 {
		subcommands, _ := fields[9].([]any)
		for _, c := range subcommands {
			addKind(found, c)
		}
	}
}
