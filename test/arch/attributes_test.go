package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestLogAttributes: a line of the log names its attributes by the words of
// docs/logs.md, so that one search finds one thing in all of them; and that page
// names no word that is not used.
func TestLogAttributes(t *testing.T) {
	page, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		known[row[1]] = false
	}
	for _, s := range sources(t) {
		for _, key := range attributes(s.file) {
			word, err := strconv.Unquote(key.Value)
			if _, ok := known[word]; err != nil || !ok {
				t.Errorf("%s: the attribute %s is not in docs/logs.md", s.place(key), key.Value)
				continue
			}
			known[word] = true
		}
	}
	for word, used := range known {
		if !used {
			t.Errorf("docs/logs.md: nothing logs the attribute %q", word)
		}
	}
}

// before says how many arguments stand before the attributes, by method of a
// slog.Logger or function of slog.
var before = map[string]int{
	"Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "With": 0,
	"DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2,
	"Log": 3, "LogAttrs": 3,
}

// attributes returns the keys of the attributes that are logged in n. It knows
// calls by their names alone: what has one of these names and takes a text first
// is a call that logs, unless it is one of package http.
func attributes(n ast.Node) (keys []*ast.BasicLit) {
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if of, ok := fun.X.(*ast.Ident); ok && of.Name == "http" {
			return true
		} else if ok && of.Name == "slog" && before[fun.Sel.Name] == 0 {
			keys = append(keys, texts(call.Args[:min(1, len(call.Args))])...)
			return true
		}
		if first, ok := before[fun.Sel.Name]; ok && len(call.Args) > first {
			keys = append(keys, texts(call.Args[first:])...)
		}
		return true
	})
	return keys
}

// texts returns the keys among args: a key and its value in turn, or a call, which
// makes an attribute with its key by itself.
func texts(args []ast.Expr) (keys []*ast.BasicLit) {
	for len(args) > 0 {
		if _, made := args[0].(*ast.CallExpr); made {
			args = args[1:]
			continue
		}
		if key, ok := args[0].(*ast.BasicLit); ok && key.Kind == token.STRING {
			keys = append(keys, key)
		}
		args = args[min(2, len(args)):]
	}
	return keys
}

// TestAttributes keeps the test able to fail.
func TestAttributes(t *testing.T) {
	const code = `package p
func f() {
	log.Info("text", "a", 1, slog.String("b", "x"), "c d", "e")
	log.With("f", g(log.With("h", 2))).ErrorContext(ctx, "text", "i", err)
	log.LogAttrs(ctx, slog.LevelInfo, "text", slog.Group("j", slog.Int("k", 1)))
	http.Error(w, "text", code)
}`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", code, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range attributes(file) {
		got = append(got, strings.Trim(key.Value, `"`))
	}
	slices.Sort(got)
	if want := []string{"a", "b", "c d", "f", "h", "i", "j", "k"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
