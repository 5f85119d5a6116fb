package arch

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// library are the packages that any Go program may import (docs/library.md).
var library = []string{"smime", "smime/cms", "smime/message", "smime/address"}

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
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", module + "certs"}
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
		s.walk(where, types.Unalias(t))
	case *types.Signature:
		s.walk(where, t.Params())
		s.walk(where, t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			s.walk(where, v.Type())
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() {
				s.walk(where+"."+f.Name(), f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if m.Exported() {
				s.walk(where+"."+m.Name(), m.Type())
			}
		}
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
	s.walk(where, t.Underlying())
	for m := range t.Methods() {
		if m.Exported() {
			s.walk(where+"."+m.Name(), m.Type())
		}
	}
}

// TestHidden keeps the test able to fail.
func TestHidden(t *testing.T) {
	p, err := compiled(t).Import(module + "certs")
	if err != nil {
		t.Fatal(err)
	}
	if len(hidden(p)) == 0 {
		t.Error("package certs shows internal/pkix, and that was not found")
	}
}
