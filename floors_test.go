package limpet

import (
	"bufio"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floorPlan is the table of ARCHITECTURE.md: for each package its floor and the
// packages it may import.
type floorPlan map[string]floorRow

type floorRow struct {
	floor   int
	column  string // store or around
	imports map[string]bool
}

// readFloors reads the rows between the markers in ARCHITECTURE.md:
//
//	| package | floor | column | imports |
func readFloors(t *testing.T) floorPlan {
	t.Helper()
	f, err := os.Open("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	plan, inside := floorPlan{}, false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "<!-- floors: begin"):
			inside = true
		case strings.HasPrefix(line, "<!-- floors: end"):
			inside = false
		case inside && strings.HasPrefix(line, "| `"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			if len(cells) < 4 {
				t.Fatalf("ARCHITECTURE.md: row %q: want at least 4 cells", line)
			}
			floor, err := strconv.Atoi(strings.TrimSpace(cells[1]))
			if err != nil {
				t.Fatalf("ARCHITECTURE.md: row %q: %v", line, err)
			}
			row := floorRow{floor: floor, column: strings.TrimSpace(cells[2]), imports: map[string]bool{}}
			for _, name := range strings.Fields(strings.ReplaceAll(cells[3], "`", "")) {
				row.imports[name] = true
			}
			plan[strings.Trim(strings.TrimSpace(cells[0]), "`")] = row
		}
	}
	if len(plan) == 0 {
		t.Fatal("ARCHITECTURE.md: no table between the floors markers")
	}
	return plan
}

// packageImports finds, for each package of the module, what it imports from the
// module outside its tests. Names are relative: "limpet" is the root.
func packageImports(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name := packageName(filepath.ToSlash(filepath.Dir(path)))
		if found[name] == nil {
			found[name] = map[string]bool{}
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if imported == "limpet" || strings.HasPrefix(imported, "limpet/") {
				found[name][packageName(strings.TrimPrefix(strings.TrimPrefix(imported, "limpet"), "/"))] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func packageName(dir string) string {
	if dir == "." || dir == "" {
		return "limpet"
	}
	return dir
}

// testOnly are packages that exist for tests and stand outside the house.
func testOnly(name string) bool {
	return name == "internal/testredis" || strings.HasSuffix(name, "test") || strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "bench")
}

func TestFloors_EveryImportIsInTheTable(t *testing.T) {
	plan := readFloors(t)
	for name, imports := range packageImports(t) {
		if testOnly(name) {
			continue
		}
		row, ok := plan[name]
		if !ok {
			t.Errorf("package %s is not in ARCHITECTURE.md's table", name)
			continue
		}
		for imported := range imports {
			if !row.imports[imported] {
				t.Errorf("%s imports %s, which ARCHITECTURE.md's table does not allow", name, imported)
			}
		}
	}
}

func TestFloors_TableIsTrueAndLeadsDownwards(t *testing.T) {
	// What the right column may use of the left one.
	shared := map[string]bool{"resp": true, "vfs": true, "clock": true, "rdb": true, "aof": true}
	plan, real := readFloors(t), packageImports(t)
	for name, row := range plan {
		if _, ok := real[name]; !ok {
			t.Errorf("ARCHITECTURE.md's table names %s, which does not exist", name)
		}
		for imported := range row.imports {
			below, ok := plan[imported]
			switch {
			case !ok:
				t.Errorf("ARCHITECTURE.md: %s may import %s, which has no row", name, imported)
			case below.floor >= row.floor:
				t.Errorf("ARCHITECTURE.md: %s (floor %d) may import %s (floor %d): not below it", name, row.floor, imported, below.floor)
			case row.column == "store" && below.column != "store":
				t.Errorf("ARCHITECTURE.md: %s belongs to the store and may import %s, which does not", name, imported)
			case row.column == "around" && below.column == "store" && !shared[imported]:
				t.Errorf("ARCHITECTURE.md: %s is around the store and may import %s, which is inside it", name, imported)
			}
			if !real[name][imported] {
				t.Errorf("ARCHITECTURE.md: %s may import %s, but does not: drop it from the table", name, imported)
			}
		}
	}
}

func TestDoc_EveryPackageHasItsCommentInDocGo(t *testing.T) {
	for name := range packageImports(t) {
		dir := strings.TrimPrefix(name, "limpet")
		path := filepath.Join(".", dir, "doc.go")
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if file.Doc == nil {
			t.Errorf("%s: no package comment attached to the package clause", path)
		}
	}
}
