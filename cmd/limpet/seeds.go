package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
)

type seedsCmd struct {
	Status string `enum:",running,paused,cancelled,completed" default:"" help:"Only those that are running, paused, cancelled or completed."`
	remote
}

func (c *seedsCmd) Run(ctx context.Context, t terminal) error {
	query := make(url.Values)
	if c.Status != "" {
		query.Set("status", c.Status)
	}
	table := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', tabwriter.AlignRight)
	if !c.JSON {
		_, _ = fmt.Fprintln(table, "total\tcrawled\tfailed\tskipped\tpending\tdone\tstatus\t  seed") // Flush tells the error
	}
	err := c.list(ctx, "/api/fcrawler/seeds", "seeds", query, func(raw json.RawMessage) error {
		if c.JSON {
			return t.print("%s", raw)
		}
		var s struct {
			Seed     string
			Progress progress
		}
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		p := s.Progress
		_, _ = fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%.2f %%\t%s\t  %s\n",
			p.Total, p.Crawled, p.Failed, p.Skipped, p.Pending, p.Percentage, p.Status, s.Seed)
		return nil
	}, table.Flush)
	return err
}

// list walks a list of the API to its end: each is called with every entry, and
// flush after every part of the list.
func (r *remote) list(ctx context.Context, path, name string, query url.Values, each func(json.RawMessage) error, flush func() error) error {
	query.Set("limit", "1000")
	for {
		var answer map[string]json.RawMessage
		if _, err := r.call(ctx, quick, request{method: http.MethodGet, path: path, query: query}, &answer); err != nil {
			return err
		}
		var entries []json.RawMessage
		var cursor *string
		if err := json.Unmarshal(answer[name], &entries); err != nil {
			return failf(exitUnreachable, "%s%s: no list of %s in the answer", r.API, path, name)
		}
		if err := json.Unmarshal(answer["cursor"], &cursor); err != nil {
			return failf(exitUnreachable, "%s%s: no cursor in the answer", r.API, path)
		}
		for _, entry := range entries {
			if err := each(entry); err != nil {
				return err
			}
		}
		if err := asLocal(flush()); err != nil {
			return err
		}
		if cursor == nil {
			return nil
		}
		query.Set("cursor", *cursor)
	}
}
