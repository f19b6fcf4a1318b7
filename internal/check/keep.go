package check

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"limpet/vfs"
)

// keepEnd copies the bytes of a file from an offset on into a new file beside
// it, durably, named as the store names what it cuts itself.
func keepEnd(fsys vfs.FS, path string, f io.ReaderAt, from, size int64) (saved string, err error) {
	var out vfs.File
	for ms := time.Now().UnixMilli(); out == nil; ms++ {
		saved = fmt.Sprintf("%s.cut-%d", path, ms)
		out, err = fsys.OpenFile(saved, vfs.O_WRONLY|vfs.O_CREATE|vfs.O_EXCL, 0o644)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	_, err = io.Copy(out, io.NewSectionReader(f, from, size-from))
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		_ = fsys.Remove(saved)
		return "", err
	}
	return saved, fsys.SyncDir(filepath.Dir(path))
}
