package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var folderRow = regexp.MustCompile("(?m)^\\| (`.+?`) \\| ")

// folders returns the folders that the table of docs/architecture.md names.
func folders(t *testing.T) (named []string) {
	t.Helper()
	for _, row := range folderRow.FindAllStringSubmatch(section(t, page(t), "## Folders"), -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			named = append(named, name[1])
		}
	}
	return named
}

// described are the packages that the row of the folder above describes.
var described = regexp.MustCompile(`^(internal|test|cmd/smimerelay)/|/internal/`)

// TestFolders: docs/architecture.md names every folder with a package, and none that
// does not exist.
func TestFolders(t *testing.T) {
	named := folders(t)
	for _, name := range named {
		if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
			t.Errorf("docs/architecture.md: %v", err)
		}
	}
	for name := range packages(t) {
		if !described.MatchString(name) && !slices.Contains(named, name) {
			t.Errorf("docs/architecture.md does not say what %s holds", name)
		}
	}
	top, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range top {
		below := func(n string) bool { return n == dir.Name() || strings.HasPrefix(n, dir.Name()+"/") }
		if dir.IsDir() && !slices.Contains(built, dir.Name()) && !strings.HasPrefix(dir.Name(), ".") && !slices.ContainsFunc(named, below) {
			t.Errorf("docs/architecture.md does not say what %s holds", dir.Name())
		}
	}
}

// built are folders that make and the program make.
var built = []string{"bin", "demo", "dist"}
