package hotcopy

import (
	"path"
	"strings"
)

// Layout is how a data set lies in its directory, in the names of redis.conf.
type Layout struct {
	Kind                                      Kind
	AppendDirName, AppendFileName, DBFileName string
}

// LayoutOf tells it from the names of the files.
func LayoutOf(kind Kind, names ...string) Layout {
	l := Layout{Kind: kind, AppendDirName: "appendonlydir", AppendFileName: "appendonly.aof", DBFileName: "dump.rdb"}
	for _, name := range names {
		switch file, isManifest := strings.CutSuffix(path.Base(name), ".manifest"); {
		case kind == RDB:
			l.DBFileName = name
		case isManifest:
			l.AppendDirName, l.AppendFileName = path.Dir(name), file
		case path.Dir(name) == ".": // the single file of Redis before 7
			l.AppendFileName = name
		}
	}
	return l
}

// Layout is how the copy lies in its directory.
func (c *Copy) Layout() Layout {
	var names []string
	for _, f := range c.Files {
		names = append(names, f.Name)
	}
	return LayoutOf(c.Kind, names...)
}
