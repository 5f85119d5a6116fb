package arch

import (
	"cmp"
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// step is a function on the way of a message, and how deep it stands in the list: it
// is called by the nearest step before it that stands less deep.
type step struct {
	depth      int
	file, name string
}

func (s step) folder() string { return path.Dir(s.file) }

var stepLine = regexp.MustCompile("^( *)- `([a-z0-9_/]+\\.go):([A-Za-z0-9_]+)`")

// walks reads the lists of steps, by their headings.
func walks(text string) map[string][]step {
	found := make(map[string][]step)
	heading := ""
	for _, line := range strings.Split(text, "\n") {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			heading = title
			found[heading] = nil
		}
		if m := stepLine.FindStringSubmatch(line); m != nil {
			found[heading] = append(found[heading], step{len(m[1]) / 2, m[2], m[3]})
		}
	}
	return found
}

// TestWalks keeps the ways of a message in docs/architecture.md true: each step exists,
// it is called by the step above it, and no list leads back to an earlier package.
func TestWalks(t *testing.T) {
	found := walks(section(t, page(t), "## The way of one message"))
	if len(found) < 8 {
		t.Errorf("docs/architecture.md has %d ways of a message, want one of each direction by each listener, a failed attempt and a held message", len(found))
	}
	code := newCode(t)
	for heading, steps := range found {
		if len(steps) < 3 {
			t.Errorf("%s: %d steps only", heading, len(steps))
		}
		for _, problem := range code.follow(steps) {
			t.Errorf("%s: %s", heading, problem)
		}
	}
	for _, problem := range turnsBack(found) {
		t.Error(problem)
	}
}

// code is what the program's functions call and declare.
type code struct {
	calls   map[string]map[string][]string // folder, function, names that are called in it
	files   map[string]map[string]bool     // file, functions
	seams   map[string]map[string]bool     // folder, methods of its interfaces
	imports map[string][]string            // folder, the folders of ours that it imports
}

func newCode(t *testing.T) code {
	c := code{make(map[string]map[string][]string), make(map[string]map[string]bool), make(map[string]map[string]bool), importsOf(packages(t))}
	for _, s := range sources(t) {
		c.read(s.name, s.file)
	}
	return c
}

func (c code) read(name string, file *ast.File) {
	folder := path.Dir(name)
	if c.calls[folder] == nil {
		c.calls[folder], c.seams[folder] = make(map[string][]string), make(map[string]bool)
	}
	c.files[name] = make(map[string]bool)
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			c.files[name][f.Name.Name] = true
			c.calls[folder][f.Name.Name] = append(c.calls[folder][f.Name.Name], called(f)...)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok {
			for _, m := range i.Methods.List {
				for _, name := range m.Names {
					c.seams[folder][name.Name] = true
				}
			}
		}
		return true
	})
}

// called returns the names of what is called, or handed on to be called, in n.
func called(n ast.Node) (names []string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			names = append(names, id.Name)
		}
		return true
	})
	return names
}

// follow returns what is wrong with the steps of one list.
func (c code) follow(steps []step) (problems []string) {
	var above []step // the step that stands above, by depth
	for _, s := range steps {
		if !c.files[s.file][s.name] {
			problems = append(problems, fmt.Sprintf("%s has no function %s", s.file, s.name))
		}
		if s.depth > len(above) {
			return append(problems, fmt.Sprintf("%s:%s stands below nothing", s.file, s.name))
		}
		if s.depth > 0 {
			caller := above[s.depth-1]
			if !c.mayCall(caller, s) {
				problems = append(problems, fmt.Sprintf("%s may not call %s, directly or by an interface that it knows", caller.folder(), s.folder()))
			}
			if !c.does(caller, s.name) {
				problems = append(problems, fmt.Sprintf("%s:%s does not call %s", caller.file, caller.name, s.name))
			}
		}
		above = append(above[:s.depth], s)
	}
	return problems
}

// mayCall reports whether the package of a step can call that of another: it imports
// it, or it knows an interface with a method of that name.
func (c code) mayCall(from, to step) bool {
	imports := c.imports[from.folder()]
	return from.folder() == to.folder() || slices.Contains(imports, to.folder()) ||
		slices.ContainsFunc(append([]string{from.folder()}, imports...), func(folder string) bool { return c.seams[folder][to.name] })
}

// does reports whether a step calls a function of a name, itself or by way of other
// functions of its package. The name may begin with a small letter: then a field holds
// the function.
func (c code) does(from step, name string) bool {
	calls := c.calls[from.folder()]
	seen := make(map[string]bool)
	var within func(function string) bool
	within = func(function string) bool {
		if seen[function] {
			return false
		}
		seen[function] = true
		return slices.ContainsFunc(calls[function], func(called string) bool {
			return strings.EqualFold(called, name) || within(called)
		})
	}
	return within(from.name)
}

// turnsBack returns the packages from which the lists, taken together, lead back to
// where they came from.
func turnsBack(found map[string][]step) (problems []string) {
	next := make(map[string][]string)
	for _, steps := range found {
		var above []step
		for _, s := range steps {
			if s.depth > 0 && s.depth <= len(above) {
				if from := above[s.depth-1].folder(); from != s.folder() && !slices.Contains(next[from], s.folder()) {
					next[from] = append(next[from], s.folder())
				}
			}
			above = append(above[:min(s.depth, len(above))], s)
		}
	}
	for from, list := range next {
		for _, to := range list {
			if to == from || reachable(next, to, from, make(map[string]bool)) {
				problems = append(problems, fmt.Sprintf("the way from %s to %s turns back", from, to))
			}
		}
	}
	slices.SortFunc(problems, cmp.Compare)
	return problems
}

func reachable(next map[string][]string, from, to string, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(next[from], func(n string) bool { return n == to || reachable(next, n, to, seen) })
}

// TestWalksCanFail keeps the test able to fail.
func TestWalksCanFail(t *testing.T) {
	c := newCode(t)
	for name, text := range map[string]string{
		"no such function": "- `relay/milter/session.go:end`\n  - `relay/gateway/process.go:Nothing`\n",
		"not called":       "- `relay/milter/session.go:helo`\n  - `relay/gateway/process.go:Process`\n",
		"may not call":     "- `relay/milter/session.go:end`\n  - `smime/sign.go:Sign`\n",
		"below nothing":    "- `relay/milter/session.go:end`\n      - `relay/gateway/process.go:Process`\n",
	} {
		if len(c.follow(walks("### x\n" + text)["x"])) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	back := walks("### x\n- `a/a.go:A`\n  - `b/b.go:B`\n    - `c/c.go:C`\n### y\n- `c/c.go:C`\n  - `a/a.go:A`\n")
	if len(turnsBack(back)) != 3 {
		t.Errorf("turnsBack: %q", turnsBack(back))
	}
}
