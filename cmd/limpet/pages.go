package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"text/tabwriter"
)

type pagesCmd struct {
	Seed  string `arg:"" help:"Seed, as in test.com."`
	State string `enum:",queued,delayed,in_flight,crawled,failed,skipped" default:"" help:"Only those that are queued, delayed, in_flight, crawled, failed or skipped."`
	remote
}

func (c *pagesCmd) Run(ctx context.Context, t terminal) error {
	query := make(url.Values)
	if c.State != "" {
		query.Set("state", c.State)
	}
	table := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
	if !c.JSON {
		_, _ = fmt.Fprintln(table, "state\tdepth\ttries\tpage") // Flush tells the error
	}
	return c.list(ctx, seedPath(c.Seed, "/pages"), "pages", query, func(raw json.RawMessage) error {
		if c.JSON {
			return t.print("%s", raw)
		}
		var p struct {
			ID, URL, State, Error, Reason string
			Depth, Attempts               int
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		page := p.URL
		if page == "" {
			page = p.ID
		}
		if why := p.Error + p.Reason; why != "" { // a page has one of them at most
			page += "  (" + why + ")"
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", p.State, p.Depth, p.Attempts, printable(page))
		return nil
	}, table.Flush)
}
