package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

type exportCmd struct {
	Seed   string `arg:"" help:"Seed, as in test.com."`
	Format string `enum:",jsonl,csv" default:"" help:"jsonl or csv; by the ending of FILE without it, or else jsonl."`
	Output string `short:"o" placeholder:"FILE" help:"Where to write it; standard output without it. A file is replaced only once all is there."`
	remote
}

// Run fails with exitNo when all that could be read was written, but some
// records could not be read.
func (c *exportCmd) Run(ctx context.Context, t terminal) (err error) {
	if c.Format == "" {
		c.Format = "jsonl"
		if strings.EqualFold(filepath.Ext(c.Output), ".csv") {
			c.Format = "csv"
		}
	}
	response, err := c.send(ctx, request{
		method: http.MethodGet, path: seedPath(c.Seed, "/features"), query: url.Values{"format": {c.Format}},
	})
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if c.Output == "" {
		if err := c.copy(ctx, t.out, response); err != nil {
			return err
		}
	} else if err := c.save(ctx, response); err != nil {
		return err
	}
	return c.tell(t, response)
}

// copy writes the whole stream to w. The trailers are there when it returns nil.
func (c *exportCmd) copy(ctx context.Context, w io.Writer, response *http.Response) error {
	buffer := bufio.NewWriterSize(w, 256<<10)
	source := &readError{r: response.Body}
	_, err := io.Copy(buffer, source)
	if err == nil {
		err = buffer.Flush()
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case source.err != nil:
		return failf(exitUnreachable, "the export broke off: %v", source.err).
			with("The log of the service says why.").
			with("again:  limpet export %s", c.Seed)
	case err != nil:
		return asLocal(err)
	case response.Trailer.Get("Limpet-Rows") == "":
		return failf(exitUnreachable, "the export does not say that it is complete: does a proxy drop its trailers?")
	}
	return nil
}

// readError remembers an error of reading, to tell it from one of writing.
type readError struct {
	r   io.Reader
	err error
}

func (r *readError) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// save writes beside the file and renames, so that the old one stays until the
// new one is whole.
func (c *exportCmd) save(ctx context.Context, response *http.Response) (err error) {
	part, err := os.CreateTemp(filepath.Dir(c.Output), filepath.Base(c.Output)+".part-*")
	if err != nil {
		return asLocal(err)
	}
	defer func() {
		_ = part.Close() // a second time after success
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	if err := c.copy(ctx, part, response); err != nil {
		var f *failure
		if errors.As(err, &f) {
			_ = f.with("%s is as it was before.", c.Output)
		}
		return err
	}
	if err := part.Chmod(0o644); err != nil {
		return asLocal(err)
	}
	if err := part.Sync(); err != nil {
		return asLocal(err)
	}
	if err := part.Close(); err != nil {
		return asLocal(err)
	}
	return asLocal(os.Rename(part.Name(), c.Output))
}

// tell sums up a complete export.
func (c *exportCmd) tell(t terminal, response *http.Response) error {
	rows, _ := strconv.Atoi(response.Trailer.Get("Limpet-Rows")) // a service of ours wrote it
	unreadable, _ := strconv.Atoi(response.Trailer.Get("Limpet-Unreadable"))
	if c.Output != "" {
		var err error
		if c.JSON {
			var text []byte
			text, err = json.Marshal(struct {
				Success    bool   `json:"success"`
				Seed       string `json:"seed"`
				File       string `json:"file"`
				Format     string `json:"format"`
				Rows       int    `json:"rows"`
				Unreadable int    `json:"unreadable"`
			}{unreadable == 0, c.Seed, c.Output, c.Format, rows, unreadable})
			if err == nil {
				err = t.print("%s", text)
			}
		} else {
			err = t.print("%s: %d rows written to %s", c.Seed, rows, c.Output)
		}
		if err != nil {
			return err
		}
	}
	if unreadable > 0 {
		return failf(exitNo, "records that could not be read and were left out: %d; the log of the service names the pages", unreadable)
	}
	return nil
}
