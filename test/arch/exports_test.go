package arch

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExportsAreUsed holds that a name is exported because another package uses it.
// Left out are the library, whose users are other programs, what tests share, methods
// that an interface may ask for, and members of an enumeration that is in use.
func TestExportsAreUsed(t *testing.T) {
	e := readExports(t)
	if len(e.declared) < 1000 {
		t.Fatalf("only %d exported names found", len(e.declared))
	}
	for _, line := range e.unused() {
		t.Error(line)
	}
}

// shared are the folders whose exported names need no user within the program.
var shared = []string{"smime/", "test/", "cmd/", "internal/testing/", "internal/slapdtest/"}

// tagged are exported for files that other systems or build tags select.
var tagged = map[string]string{
	"internal/filesystem.ErrUnsupported": "systems without statfs",
	"internal/pkix.Spent":                "a test that counts the effort",
}

// exports are the exported names that the module's packages declare and use.
type exports struct {
	at       *token.FileSet
	from     types.Importer
	declared map[string]types.Object // by where they are declared
	users    map[string]bool         // those that another package uses
	methods  map[string]bool         // names of methods in interfaces
	shown    map[string]bool         // types that other exported names lead to
}

// listedFiles is what go list tells of a package.
type listedFiles struct {
	ImportPath, Dir, Export            string
	GoFiles, TestGoFiles, XTestGoFiles []string
}

func readExports(t *testing.T) *exports {
	t.Helper()
	compiled := map[string]string{}
	var ours []listedFiles
	for _, p := range listFiles(t) {
		compiled[p.ImportPath] = p.Export
		if strings.HasPrefix(p.ImportPath, module) {
			ours = append(ours, p)
		}
	}
	at := token.NewFileSet()
	e := &exports{at: at, declared: map[string]types.Object{}, users: map[string]bool{}, methods: map[string]bool{}, shown: map[string]bool{}}
	e.from = importer.ForCompiler(at, "gc", func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) })
	for _, p := range ours {
		e.read(t, p, slices.Concat(p.GoFiles, p.TestGoFiles))
		e.read(t, p, p.XTestGoFiles)
	}
	return e
}

func listFiles(t *testing.T) (found []listedFiles) {
	t.Helper()
	out, err := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,TestGoFiles,XTestGoFiles", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listedFiles
		if err := d.Decode(&p); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
}

// read notes what some files of a package declare and use. What they import and only
// tests need is not compiled; errors over that do not matter here.
func (e *exports) read(t *testing.T, p listedFiles, names []string) {
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(e.at, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	conf := types.Config{Importer: e.from, Error: func(error) {}}
	conf.Check(p.ImportPath, e.at, files, info) //nolint:errcheck // see above
	for _, o := range info.Uses {
		if e.ours(o) && strings.TrimSuffix(o.Pkg().Path(), "_test") != p.ImportPath {
			e.users[e.key(o)] = true
		}
	}
	for id, o := range info.Defs {
		if o != nil && e.ours(o) && !strings.HasSuffix(e.at.Position(id.Pos()).Filename, "_test.go") {
			e.declare(o)
		}
	}
	for expression, tv := range info.Types {
		if _, ok := expression.(*ast.InterfaceType); ok {
			for m := range tv.Type.(*types.Interface).Methods() {
				e.methods[m.Name()] = true
			}
		}
	}
}

func (e *exports) ours(o types.Object) bool {
	return o.Exported() && o.Pkg() != nil && strings.HasPrefix(o.Pkg().Path()+"/", module)
}

// key is where o is declared: one object is another one where it was compiled.
func (e *exports) key(o types.Object) string {
	p := e.at.Position(o.Pos())
	return fmt.Sprintf("%s:%d: %s", strings.TrimPrefix(o.Pkg().Path(), module)+"/"+filepath.Base(p.Filename), p.Line, o.Name())
}

func (e *exports) declare(o types.Object) {
	scope := o.Parent()
	f, isFunc := o.(*types.Func)
	isMethod := isFunc && f.Signature().Recv() != nil
	if scope == o.Pkg().Scope() || isMethod {
		e.declared[e.key(o)] = o
	}
	if _, isType := o.(*types.TypeName); !isType {
		e.show(o.Type())
	}
}

// show notes the types of the module by which t is written.
func (e *exports) show(t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		e.name(t.Obj())
		e.show(t.Rhs())
	case *types.Named:
		e.name(t.Obj())
		for arg := range t.TypeArgs().Types() {
			e.show(arg)
		}
	case *types.Signature:
		e.show(t.Params())
		e.show(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			e.show(v.Type())
		}
	case *types.Map:
		e.show(t.Key())
		e.show(t.Elem())
	case interface{ Elem() types.Type }:
		e.show(t.Elem())
	}
}

func (e *exports) name(o *types.TypeName) {
	if o.Pkg() != nil {
		e.shown[o.Pkg().Path()+"."+o.Name()] = true
	}
}

func (e *exports) unused() (lines []string) {
	for key, o := range e.declared {
		if !e.users[key] && !e.needed(o) && !slices.ContainsFunc(shared, func(top string) bool { return strings.HasPrefix(key, top) }) {
			lines = append(lines, key+" is exported, and no other package uses it")
		}
	}
	slices.Sort(lines)
	return lines
}

// needed reports whether o is exported for another reason than its use.
func (e *exports) needed(o types.Object) bool {
	if _, ok := tagged[strings.TrimPrefix(o.Pkg().Path(), module)+"."+o.Name()]; ok {
		return true
	}
	switch o := o.(type) {
	case *types.Func:
		recv := o.Signature().Recv()
		return recv != nil && (e.methods[o.Name()] || slices.Contains(known, o.Name()) || !exportedType(recv.Type()))
	case *types.TypeName:
		return e.shown[o.Pkg().Path()+"."+o.Name()]
	case *types.Const:
		named, ok := o.Type().(*types.Named)
		return ok && named.Obj().Pkg() == o.Pkg() && named.Obj().Exported()
	}
	return false
}

// known are methods by which other modules, and the standard library, call.
var known = []string{"Error", "Unwrap", "Is", "As", "String", "MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON",
	"Read", "Write", "Close", "Scan", "Value", "WriteTo", "Public", "Sign", "Decrypt", "LogValue", "UnmarshalTOML", "ServeHTTP",
	"Describe", "Collect", "SessionLock", "SessionUnlock", "Work", "NextRetry", "BlockSize"}

func exportedType(t types.Type) bool {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := t.(*types.Named)
	return ok && named.Obj().Exported()
}
