package stat

import (
	"os"
	"path/filepath"

	"limpet/internal/machine"
)

// Look fills in the room of a directory; nothing where it is not known.
func (v *Sample) Look(dir, dbfilename string) {
	if dir == "" {
		return
	}
	s, err := machine.SpaceOf(dir)
	if err != nil {
		return
	}
	base, growth := v.AOFBaseBytes, v.AOFGrowthBytes
	if !v.AOFEnabled {
		if dump, err := os.Stat(filepath.Join(dir, dbfilename)); err == nil {
			base = dump.Size()
		}
	}
	v.Disk = &Disk{Dir: dir, FreeBytes: int64(s.Free), TotalBytes: int64(s.Total), NeedBytes: int64(machine.NeedOf(base, growth).Safe)}
}
