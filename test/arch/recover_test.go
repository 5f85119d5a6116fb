package arch

import (
	"go/ast"
	"testing"
)

// recoverers are the files that may recover from a panic: the one way in which it
// becomes a temporary error, and the command line, where it becomes an exit status.
var recoverers = map[string]bool{"internal/guard/guard.go": true, "cmd/smimerelay/cli.go": true}

func TestOneRecover(t *testing.T) {
	seen := 0
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "recover" {
				seen++
				if !recoverers[s.name] {
					t.Errorf("%s recovers by itself; use package internal/guard", s.place(n))
				}
			}
			return true
		})
	}
	if seen < len(recoverers) {
		t.Errorf("%d recovers found", seen)
	}
}
