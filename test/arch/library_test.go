package arch

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// library are the packages that any Go program may import (docs/library.md): four, and
// two that go with them.
var library = []string{"smime", "smime/cms", "smime/message", "smime/address", "certs", "certs/path"}

// TestLibraryShowsNoInternalType holds that a program outside of the module can name
// every type that it meets in the exported names of the library, in those of the
// types found there, and so on.
func TestLibraryShowsNoInternalType(t *testing.T) {
	from := compiled(t)
	for _, name := range library {
		p, err := from.Import(module + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range hidden(p) {
			t.Error(problem)
		}
	}
}

// compiled imports packages as the compiler left them.
func compiled(t *testing.T) types.Importer {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", module + "internal/pkix"}
	for _, name := range library {
		args = append(args, module+name)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[path] = file
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(files[path])
	})
}

// hidden returns where the exported names of p lead to a type of an internal package.
func hidden(p *types.Package) []string {
	s := &surface{seen: map[types.Type]bool{}}
	for _, name := range p.Scope().Names() {
		if o := p.Scope().Lookup(name); o.Exported() {
			s.walk(p.Path()+"."+name, o.Type())
		}
	}
	return s.problems
}

// surface is what can be reached through exported names.
type surface struct {
	seen     map[types.Type]bool
	problems []string
}

func (s *surface) walk(where string, t types.Type) {
	if s.seen[t] {
		return
	}
	s.seen[t] = true
	switch t := t.(type) {
	case *types.Named:
		s.named(where, t)
	case *types.Alias:
		s.parameters(where, t.TypeParams())
		s.walk(where, types.Unalias(t))
	case *types.Signature:
		s.parameters(where, t.TypeParams())
		s.walk(where, t.Params())
		s.walk(where, t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			s.walk(where, v.Type())
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() { // what is embedded lends its fields and methods
				s.walk(where+"."+f.Name(), f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if m.Exported() {
				s.walk(where+"."+m.Name(), m.Type())
			}
		}
		for embedded := range t.EmbeddedTypes() {
			s.walk(where, embedded)
		}
	case *types.Union:
		for term := range t.Terms() {
			s.walk(where, term.Type())
		}
	case *types.TypeParam:
		s.walk(where, t.Constraint())
	case *types.Map:
		s.walk(where, t.Key())
		s.walk(where, t.Elem())
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		s.walk(where, t.Elem())
	}
}

// named looks into a type of the module; those of other modules are theirs.
func (s *surface) named(where string, t *types.Named) {
	o := t.Obj()
	for arg := range t.TypeArgs().Types() {
		s.walk(where, arg)
	}
	if o.Pkg() == nil || !strings.HasPrefix(o.Pkg().Path()+"/", module) {
		return
	}
	if strings.Contains(o.Pkg().Path()+"/", "/internal/") {
		s.problems = append(s.problems, fmt.Sprintf("%s shows %s.%s, which no other module can name", where, o.Pkg().Path(), o.Name()))
		return
	}
	s.parameters(where, t.TypeParams())
	s.walk(where, t.Underlying())
	for m := range t.Methods() {
		if m.Exported() {
			s.walk(where+"."+m.Name(), m.Type())
		}
	}
}

// parameters walks the constraints of type parameters.
func (s *surface) parameters(where string, list *types.TypeParamList) {
	for p := range list.TypeParams() {
		s.walk(where, p)
	}
}

// TestHidden keeps the test able to fail: each of these shows a type of internal/pkix.
func TestHidden(t *testing.T) {
	from := compiled(t)
	for _, text := range []string{
		"var V pkix.PSS",
		"const C = 0; type T = pkix.PSS",
		"type T[P any] = map[string]pkix.PSS",
		"type T struct{ F *pkix.PSS }",
		"type T struct{ pkix.PSS }",
		"type t struct{ F pkix.PSS }; type T struct{ t }",
		"type t struct{}; func (t) M() pkix.PSS { panic(0) }; type T struct{ *t }",
		"type t struct{ F pkix.PSS }; func F() *t { return nil }",
		"type T struct{ f int }; func (*T) M(...pkix.PSS) {}",
		"type T interface{ M() chan pkix.PSS }",
		"type i interface{ M(pkix.PSS) }; type T interface{ i }",
		"func F(func(map[pkix.PSS]int) [2]int) {}",
		"func F[P interface{ *pkix.PSS | int }](P) {}",
		"type T[P interface{ M(pkix.PSS) }] struct{}",
		"type g[P any] struct{}; var V g[pkix.PSS]",
		"type G[P any] struct{ F P }; type T struct{ F []G[pkix.PSS] }",
	} {
		if problems := hidden(snippet(t, from, text)); len(problems) == 0 {
			t.Errorf("not found: %s", text)
		}
	}
	for _, text := range []string{
		"type T struct{ f pkix.PSS }",
		"type t struct{ F pkix.PSS }; func f() t { panic(0) }",
		"type T int; func (T) m(pkix.PSS) {}",
	} {
		if problems := hidden(snippet(t, from, text)); len(problems) > 0 {
			t.Errorf("%s: %q", text, problems)
		}
	}
}

// snippet is a package of the module with the declarations of text.
func snippet(t *testing.T, from types.Importer, text string) *types.Package {
	t.Helper()
	at := token.NewFileSet()
	file, err := parser.ParseFile(at, "x.go", "package x\nimport \""+module+"internal/pkix\"\n"+text+"\nvar _ pkix.PSS", 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&types.Config{Importer: from}).Check(module+"x", at, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestLibraryBrings holds that importing the library brings no modules but those that
// docs/library.md names: no LDAP, no SQL, and nothing that only files of keys need.
func TestLibraryBrings(t *testing.T) {
	all := packages(t)
	used := map[string]bool{}
	for _, name := range library {
		for _, dep := range all[name].Deps {
			domain, _, _ := strings.Cut(dep, "/")
			if !strings.Contains(domain, ".") || strings.HasPrefix(dep, module) {
				continue
			}
			i := slices.IndexFunc(brought, func(m string) bool { return strings.HasPrefix(dep+"/", m+"/") })
			if i < 0 {
				t.Errorf("%s reaches %s", name, dep)
				continue
			}
			used[brought[i]] = true
		}
	}
	for _, m := range brought {
		if !used[m] {
			t.Errorf("no package needs %s any more: remove it here and in docs/library.md", m)
		}
	}
}

// brought are the modules that the library needs.
var brought = []string{"filippo.io/mldsa", "github.com/cloudflare/circl", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/text"}
