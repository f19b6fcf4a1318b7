package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
)

type auditCmd struct {
	Seed   string `arg:"" help:"Seed, as in test.com."`
	Repair bool   `help:"Mend what differs."`
	remote
}

// audit is the API's report.
type audit struct {
	Seed            string
	Clean, Repaired bool
	Total           int64
	Counts          struct {
		Crawled, Failed, Skipped, Queued, Delayed int64
		InFlight                                  int64 `json:"in_flight"`
	}
	Differences []struct{ What, Page, Want, Have string }
	Truncated   int
}

// Run fails with exitNo when something differs and was not mended.
func (c *auditCmd) Run(ctx context.Context, t terminal) error {
	q := request{method: http.MethodPost, path: seedPath(c.Seed, "/audit")}
	if c.Repair {
		q.query = url.Values{"repair": {"true"}}
	}
	var a audit
	raw, err := c.call(ctx, long, q, &a)
	if err != nil {
		return err
	}
	if c.JSON {
		err = t.print("%s", raw)
	} else {
		err = a.print(t)
	}
	if err == nil && !a.Clean && !a.Repaired {
		err = &failure{code: exitNo}
	}
	return err
}

func (a *audit) print(t terminal) error {
	verdict := "clean"
	switch found := len(a.Differences) + a.Truncated; found {
	case 0:
	case 1:
		verdict = "1 difference"
	default:
		verdict = fmt.Sprintf("%d differences", found)
	}
	n := a.Counts
	err := t.print("%s: %s; total %d: %d crawled, %d failed, %d skipped, %d queued, %d delayed, %d in flight",
		a.Seed, verdict, a.Total, n.Crawled, n.Failed, n.Skipped, n.Queued, n.Delayed, n.InFlight)
	if err != nil || a.Clean {
		return err
	}
	table := tabwriter.NewWriter(t.out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "  what\tpage\twant\thave") // Flush tells the error
	for _, d := range a.Differences {
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", d.What, printable(d.Page), printable(d.Want), printable(d.Have))
	}
	if err := asLocal(table.Flush()); err != nil {
		return err
	}
	if a.Truncated > 0 {
		if err := t.print("  and %d more", a.Truncated); err != nil {
			return err
		}
	}
	if a.Repaired {
		return t.print("  All are mended.")
	}
	return t.print("  Nothing has been changed.\n  mend:   limpet audit %s --repair", a.Seed)
}
