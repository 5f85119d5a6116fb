package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// source is a file of the program, without its tests and what only they use.
type source struct {
	name string // below the module's root
	file *ast.File
	at   *token.FileSet
}

// place names the line of n.
func (s source) place(n ast.Node) string {
	p := s.at.Position(n.Pos())
	p.Filename = s.name
	return p.String()
}

// sources parses the files of the program.
func sources(t *testing.T) (found []source) {
	t.Helper()
	at := token.NewFileSet()
	const root = "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch {
		case d.IsDir() && (name == "test" || name == filepath.FromSlash("internal/testing") || strings.HasPrefix(name, ".") && name != "."):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(at, path, nil, parser.SkipObjectResolution)
		found = append(found, source{filepath.ToSlash(name), file, at})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 100 {
		t.Fatalf("only %d files found", len(found))
	}
	return found
}
