package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// written finds what a text says to run: a verb and the word after it.
var written = regexp.MustCompile(`\bsmimerelay ([a-z]+) ([a-z]+)\b`)

// TestNamedVerbs: what errors, remedies and the manual tell an administrator to run is there.
func TestNamedVerbs(t *testing.T) {
	k, err := parser(&cli{}, &app{})
	if err != nil {
		t.Fatal(err)
	}
	below := map[string][]string{}
	for _, verb := range k.Model.Children {
		for _, sub := range verb.Children {
			if sub.Type == kong.CommandNode {
				below[verb.Name] = append(below[verb.Name], sub.Name)
			}
		}
	}
	// Words that follow a verb in a sentence.
	prose := []string{"and", "or", "in", "on", "of", "to", "is", "are", "as", "with", "for", "does", "tells", "shows"}
	root := "../.."
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".md" && ext != ".html" && ext != ".txt" {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range written.FindAllStringSubmatch(string(text), -1) {
			if subs := below[m[1]]; len(subs) > 0 && !slices.Contains(subs, m[2]) && !slices.Contains(prose, m[2]) {
				t.Errorf("%s: there is no %q", path, m[0])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
