package arch

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var updateEvents = flag.Bool("update-events", false, "write the list of events in docs/logs.md")

// An event is a line of the log.
type event struct {
	text                         string
	levels, attributes, packages []string
}

// join adds another place that logs the event.
func (e *event) join(other event) {
	for _, list := range []struct {
		to   *[]string
		from []string
	}{{&e.levels, other.levels}, {&e.attributes, other.attributes}, {&e.packages, other.packages}} {
		*list.to = append(*list.to, list.from...)
		slices.Sort(*list.to)
		*list.to = slices.Compact(*list.to)
	}
}

func quote(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return "`" + strings.Join(words, "` `") + "`"
}

// levels are the methods that log, with where the message stands.
var levels = map[string]int{
	"Debug": 0, "Info": 0, "Warn": 0, "Error": 0,
	"DebugContext": 1, "InfoContext": 1, "WarnContext": 1, "ErrorContext": 1,
	"Log": 2, "LogAttrs": 2,
}

// TestEvents: docs/logs.md lists every message that the gateway logs.
func TestEvents(t *testing.T) {
	files := sources(t)
	all := map[string]*event{}
	for _, s := range files {
		if pkg := path.Dir(s.name); served(pkg) {
			for _, e := range eventsOf(t, s, files) {
				if all[e.text] == nil {
					all[e.text] = &event{text: e.text}
				}
				all[e.text].join(e)
			}
		}
	}
	var table strings.Builder
	table.WriteString("| event | level | attributes | logged by |\n|---|---|---|---|\n")
	for _, text := range slices.Sorted(maps.Keys(all)) {
		e := all[text]
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", text, strings.Join(e.levels, ", "), quote(e.attributes), quote(e.packages))
	}
	text, err := os.ReadFile("../../docs/logs.md")
	if err != nil {
		t.Fatal(err)
	}
	want := eventTable.ReplaceAllLiteral(text, []byte(table.String()))
	if bytes.Equal(text, want) {
		return
	}
	if !*updateEvents {
		t.Error("docs/logs.md does not list the events; go test ./test/arch -run TestEvents -update-events")
		return
	}
	if err := os.WriteFile("../../docs/logs.md", want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// eventTable is the list in docs/logs.md.
var eventTable = regexp.MustCompile(`(?m)^\| event \|.*\n(\|.*\n)*`)

// served reports whether a package is part of the gateway.
func served(pkg string) bool {
	return !strings.HasPrefix(pkg, "test/") && !strings.HasPrefix(pkg, "internal/testing") && !strings.HasPrefix(pkg, "cmd/smimerelay/demo")
}

// eventsOf returns the events of a file. A message that is a parameter of the function is
// that of each call of it in the package.
func eventsOf(t *testing.T, s source, files []source) (found []event) {
	t.Helper()
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			call, level, message := logCall(n)
			if call == nil {
				return true
			}
			e := event{levels: []string{level}, packages: []string{path.Dir(s.name)}}
			for _, key := range attributes(call) {
				if word, err := strconv.Unquote(key.Value); err == nil {
					e.attributes = append(e.attributes, word)
				}
			}
			texts := messages(f, message, s, files)
			if len(texts) == 0 {
				t.Errorf("%s: the message of this line of the log is not a text; docs/logs.md cannot list it", s.place(call))
			}
			for _, text := range texts {
				e.text = text
				found = append(found, e)
			}
			return true
		})
	}
	return found
}

// logCall returns the call if n logs, with its level and its message.
func logCall(n ast.Node) (call *ast.CallExpr, level string, message ast.Expr) {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil, "", nil
	}
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, "", nil
	}
	at, ok := levels[fun.Sel.Name]
	if !ok || len(call.Args) <= at || !isLogger(fun.X) {
		return nil, "", nil
	}
	level = strings.TrimSuffix(fun.Sel.Name, "Context")
	if at == 2 {
		var fixed bool
		if level, fixed = strings.CutPrefix(nameOf(call.Args[1]), "Level"); !fixed {
			level = "by outcome"
		}
	}
	return call, strings.ToLower(level), call.Args[at]
}

// isLogger knows loggers by their names: log, slog, or a field or a call that ends so.
func isLogger(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return strings.HasSuffix(strings.ToLower(x.Name), "log")
	case *ast.SelectorExpr:
		return isLogger(x.Sel)
	case *ast.CallExpr:
		if fun, ok := x.Fun.(*ast.SelectorExpr); ok {
			return fun.Sel.Name == "With" && isLogger(fun.X) || isLogger(fun.Sel)
		}
	}
	return false
}

// messages returns the texts that a message can be.
func messages(f *ast.FuncDecl, message ast.Expr, s source, files []source) (texts []string) {
	switch x := message.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(x.Value); err == nil {
			return []string{text}
		}
	case *ast.BinaryExpr:
		if x.Op != token.ADD {
			return nil
		}
		for _, a := range messages(f, x.X, s, files) {
			for _, b := range messages(f, x.Y, s, files) {
				texts = append(texts, a+b)
			}
		}
	case *ast.Ident:
		at, ok := parameter(f, x.Name)
		if !ok {
			return assigned(f, x.Name)
		}
		for _, other := range files {
			if path.Dir(other.name) == path.Dir(s.name) {
				texts = append(texts, passed(other.file, f.Name.Name, at)...)
			}
		}
	}
	return texts
}

// parameter returns which parameter of f has a name.
func parameter(f *ast.FuncDecl, name string) (at int, ok bool) {
	for _, field := range f.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == name {
				return at, true
			}
			at++
		}
	}
	return 0, false
}

// passed returns the texts that calls of a function give it.
func passed(file *ast.File, function string, at int) (texts []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) <= at || nameOf(call.Fun) != function {
			return true
		}
		if lit, ok := call.Args[at].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				texts = append(texts, text)
			}
		}
		return true
	})
	return texts
}

// assigned returns the texts that a variable of f gets.
func assigned(f *ast.FuncDecl, name string) (texts []string) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		for i, left := range a.Lhs {
			id, ok := left.(*ast.Ident)
			if !ok || id.Name != name || i >= len(a.Rhs) {
				continue
			}
			if lit, ok := a.Rhs[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					texts = append(texts, text)
				}
			}
		}
		return true
	})
	return texts
}

func nameOf(fun ast.Expr) string {
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}
