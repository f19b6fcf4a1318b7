package repair

import (
	"errors"
	"io"

	"limpet/aof"
	"limpet/internal/check"
	"limpet/rdb"
	"limpet/vfs"
)

// salvage plans to write the entries before the damage of an RDB anew.
func (d *FilePlan) salvage(bad *check.Problem, o Options) error {
	f := d.Source
	switch {
	case bad.Code == check.NewerRDB:
		return refusef("", "%s: %s: use the tools of the version that wrote it", f.Name, bad.Text)
	case bad.Err == nil:
		return refusef("", "%s: %s: no entry of it can be read", f.Name, bad.Text)
	case !o.SalvageBase:
		return refusef("--salvage-base", "%s: at byte %d: %s: %d entries before it can be read, which are no state that ever was", f.Name, bad.Offset, bad.Text, f.Keys)
	}
	d.Salvage, d.Keys, d.Commands = true, f.Keys, 0
	d.Keep = []Piece{{To: f.Intact}}
	d.Cuts = []*Cut{{From: f.Intact, To: f.Size, Why: bad.Text}}
	return nil
}

// writeSalvaged writes as many entries of a damaged RDB as were found to be good
// into a new one.
func writeSalvaged(fsys vfs.FS, d *FilePlan, out io.Writer) error {
	in, err := vfs.Open(fsys, d.Source.Path)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	dec := rdb.NewDecoder(io.NewSectionReader(in, 0, d.Source.Size), rdb.DecoderOptions{KeepPacked: true, NoChecksum: true})
	enc := rdb.NewEncoder(out, rdb.EncoderOptions{})
	for n := 0; n < d.Keys; n++ {
		e, err := dec.Next()
		if err != nil {
			return err
		}
		if n == 0 {
			if err := head(dec, enc, d.entry.Type == aof.Base); err != nil {
				return err
			}
		}
		if err := enc.Entry(e); err != nil {
			return err
		}
	}
	if d.Keys == 0 {
		if _, err := dec.Next(); err == nil {
			return errors.New("more entries than were found before")
		}
		if err := head(dec, enc, d.entry.Type == aof.Base); err != nil {
			return err
		}
	}
	return enc.Close()
}

// head carries over what stands before the entries.
func head(dec *rdb.Decoder, enc *rdb.Encoder, base bool) error {
	aux := dec.Aux()
	for _, name := range []string{"redis-ver", "redis-bits", "ctime", "used-mem"} {
		if value, ok := aux[name]; ok {
			if err := enc.Aux(name, value); err != nil {
				return err
			}
		}
	}
	if _, was := aux["aof-base"]; base || was {
		if err := enc.Aux("aof-base", "1"); err != nil {
			return err
		}
	}
	for _, source := range dec.Functions() {
		if err := enc.Function(source); err != nil {
			return err
		}
	}
	return nil
}
