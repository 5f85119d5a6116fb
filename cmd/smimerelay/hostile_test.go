package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// hostile is what a stranger writes into a name: a line that looks like ours, a
// sequence for the terminal in both of its forms, and a change of direction.
const hostile = "Eve\nresult: pass\r\x1b[2K\u009b2K\u202eecila\u2028"

// TestNothingStrangersWroteIsActedUpon has a certificate with a hostile name and
// files with hostile names go through every verb that prints such things, as text
// and as JSON.
func TestNothingStrangersWroteIsActedUpon(t *testing.T) {
	s := newShelf(t)
	eve := s.issue(testpki.Leaf{Addresses: []string{"eve@example.net"}, Name: hostile})
	own := s.issue(testpki.Leaf{Addresses: []string{"alice@example.org"}, Name: hostile})
	sum := s.putIdentity(own)
	s.put(eve)
	s.write("eve.pem", testpki.EncodeCertificates(eve.Certificate))
	s.write("no\ncertificate: \x1b[2K.pem", []byte("nothing"))
	m, err := message.Parse([]byte("From: eve@example.net\r\nTo: alice@example.org\r\nSubject: x\r\n\r\nx\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := smime.Sign(m, eve, smime.SignOptions{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s.write("signed.eml", signed.Bytes())
	config := []string{"--config", s.path("config.toml")}
	for _, args := range [][]string{
		{"verify", s.path("signed.eml")},
		{"verify", "--trust", s.path("ca.pem"), "--revocation", "off", s.path("signed.eml")},
		{"verify", s.path("no\ncertificate: \x1b[2K.pem")},
		{"cert", "check", "--purpose", "sign", "--trust", s.path("ca.pem"), "--revocation", "off", s.path("eve.pem")},
		append([]string{"cert", "import", s.dir}, config...),
		append([]string{"cert", "list"}, config...),
		append([]string{"cert", "show", "eve@example.net"}, config...),
		append([]string{"cert", "show", sum}, config...),
		append([]string{"cert", "lookup", "eve@example.net"}, config...),
		append([]string{"cert", "allow", sum}, config...),
		append([]string{"cert", "clear", sum}, config...),
		append([]string{"cert", "expiring", "--within", "10000d"}, config...),
		append([]string{"explain", "--from", "alice@example.org", "--to", "eve@example.net"}, config...),
		append([]string{"explain", "--from", "alice@example.org", "--to", "eve@example.net", "--rule", hostile}, config...),
	} {
		for _, form := range [][]string{nil, {"--json"}} {
			all := append(append([]string{}, args...), form...)
			var out, errs bytes.Buffer
			run(all, &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, clock: time.Now})
			for _, text := range []string{out.String(), errs.String()} {
				if strings.ContainsAny(text, "\x1b\r\u009b\u202e\u2028\x7f") {
					t.Errorf("%q prints what a terminal acts upon: %q", all, text)
				}
				if strings.Contains("\n"+text, "\nresult: pass\\r") {
					t.Errorf("%q prints a line that a stranger wrote: %q", all, text)
				}
			}
			if len(form) > 0 && out.Len() > 0 {
				for d := json.NewDecoder(&out); d.More(); {
					var v any
					if err := d.Decode(&v); err != nil {
						t.Errorf("%q prints no JSON: %v", all, err)
						break
					}
				}
			}
		}
	}
}

// TestTextGoesThroughPages keeps verbs from writing text past page and encoder:
// those make printable what they are given.
func TestTextGoesThroughPages(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	// What is whole by itself: the configuration's example, help, a bar, JSON that an
	// encoder has made, and records of digests and octets in hexadecimal.
	whole := map[string]bool{"page.go": true, "bar.go": true, "initcmd.go": true, "cli.go": true, "certlist.go": true, "certzone.go": true, "main.go": true}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || whole[name] {
			continue
		}
		fset := token.NewFileSet()
		file, err := goparser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "fmt" && (strings.HasPrefix(call.Sel.Name, "Fprint") || strings.HasPrefix(call.Sel.Name, "Print")) {
				t.Errorf("%s: text is printed past a page; use page.line", fset.Position(n.Pos()))
			}
			return true
		})
	}
}
