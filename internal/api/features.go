package api

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"time"

	"limpet/internal/feature"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

const (
	exportBatch = 200              // records read from the store at once
	exportPace  = 30 * time.Second // within which a reader must take a batch

	// Trailers by which a reader knows that it has everything.
	trailerRows       = "Limpet-Rows"
	trailerUnreadable = "Limpet-Unreadable"
)

// rows writes stored feature records in one format.
type rows interface {
	begin() error
	// row writes one record. An error that wraps feature.ErrDamaged or
	// feature.ErrNewer is about this record only.
	row(stored []byte) error
	flush() error
}

// features streams the records of a seed, one row a crawled page, in no order. A
// page that is crawled meanwhile may be missing. When the store fails on the
// way, the connection is cut, so that no one takes a part for the whole.
func (a *api) features(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "format")
	format := q.oneOf("format", "jsonl", "csv")
	if q.err != nil {
		return q.err
	}
	seed, err := a.knownSeed(r)
	if err != nil {
		return err
	}
	// The first batch before the header: while nothing is sent, an error can
	// still be told.
	batch, cursor, err := a.Tracker.Records(r.Context(), seed, "", exportBatch)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", map[string]string{"jsonl": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}[format])
	h.Set("Content-Disposition", `attachment; filename="`+string(seed)+"-features."+format+`"`)
	h.Set("Trailer", trailerRows+", "+trailerUnreadable)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	e := export{api: a, w: w, r: r, seed: seed, seen: make(map[pageID]struct{})}
	if format == "csv" {
		e.out = &csvRows{csv.NewWriter(w)}
	} else {
		e.out = &jsonRows{bufio.NewWriterSize(w, 64<<10)}
	}
	if err := e.run(batch, cursor); err != nil {
		if r.Context().Err() == nil {
			a.Logger.Error("export broke off", "seed", seed, "rows", e.rows, "err", err)
		}
		panic(http.ErrAbortHandler) // cuts the connection
	}
	h.Set(trailerRows, strconv.Itoa(e.rows))
	h.Set(trailerUnreadable, strconv.Itoa(e.unreadable))
	return nil
}

// pageID is a page's id, decoded: half of what an export of a large seed must
// remember.
type pageID [16]byte

type export struct {
	api  *api
	w    http.ResponseWriter
	r    *http.Request
	seed weburl.Seed
	out  rows
	// seen are the pages that were written: a scan may meet one twice.
	seen       map[pageID]struct{}
	rows       int
	unreadable int
}

func (e *export) run(batch []tracking.Record, cursor string) error {
	if err := e.out.begin(); err != nil {
		return err
	}
	for {
		if err := e.write(batch); err != nil {
			return err
		}
		if cursor == "" {
			return nil
		}
		var err error
		if batch, cursor, err = e.api.Tracker.Records(e.r.Context(), e.seed, cursor, exportBatch); err != nil {
			return err
		}
	}
}

func (e *export) write(batch []tracking.Record) error {
	if err := allow(e.w, exportPace); err != nil {
		return err
	}
	for _, stored := range batch {
		var id pageID
		if n, err := base64.RawURLEncoding.Decode(id[:], []byte(stored.ID)); err == nil && n == len(id) {
			if _, again := e.seen[id]; again {
				continue
			}
			e.seen[id] = struct{}{}
		}
		switch err := e.out.row(stored.Bytes); {
		case errors.Is(err, feature.ErrDamaged), errors.Is(err, feature.ErrNewer):
			e.unreadable++
			e.api.Logger.Error("feature record left out of an export", "seed", e.seed, "page", stored.ID, "err", err)
		case err != nil:
			return err
		default:
			e.rows++
		}
	}
	if err := e.out.flush(); err != nil {
		return err
	}
	err := http.NewResponseController(e.w).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// jsonRows writes one object a line, as it was stored: what a newer program has
// added to its records is kept.
type jsonRows struct{ buffer *bufio.Writer }

func (j *jsonRows) begin() error { return nil }

func (j *jsonRows) row(stored []byte) error {
	line, err := feature.StoredJSON(stored)
	if err != nil {
		return err
	}
	_, err = j.buffer.Write(line)
	return err
}

func (j *jsonRows) flush() error { return j.buffer.Flush() }

// csvRows writes a header and one line a record, by RFC 4180.
type csvRows struct{ writer *csv.Writer }

func (c *csvRows) begin() error { return c.writer.Write(feature.CSVHeader()) }

func (c *csvRows) row(stored []byte) error {
	record, err := feature.Unmarshal(stored)
	if err != nil {
		return err
	}
	return c.writer.Write(feature.CSVRow(record))
}

func (c *csvRows) flush() error {
	c.writer.Flush()
	return c.writer.Error()
}
