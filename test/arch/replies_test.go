package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// replies is the one file that makes SMTP codes.
const replies = "relay/reply.go"

// TestReplyCodes: SMTP codes are made in one place, so that a failure is answered
// alike by all listeners and whoever asks why finds it there.
func TestReplyCodes(t *testing.T) {
	made := 0
	for _, s := range sources(t) {
		for _, code := range replyCodes(s.file) {
			if s.name == replies {
				made++
				continue
			}
			t.Errorf("%s: an SMTP code is made here: return a fault.Error, for which %s has the code", s.place(code), replies)
		}
	}
	if made < 20 {
		t.Errorf("%s: only %d codes found", replies, made)
	}
}

// spelled is a reply that is written out, with an enhanced code or as one without.
var spelled = regexp.MustCompile(`(^|[^0-9.])[245][0-9]{2}[ -][245]\.[0-9]{1,3}\.[0-9]|^[2-5][0-9]{2} [A-Za-z]`)

// replyCodes returns where n makes a code: in a text, as an array that begins with a
// class of RFC 3463, or as a field Code with a number. What is compared or read is not
// made.
func replyCodes(n ast.Node) (made []ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && spelled.MatchString(text) {
				made = append(made, n)
			}
		case *ast.CompositeLit:
			if len(n.Elts) == 3 && number(n.Elts[0], 2, 5) && number(n.Elts[1], 0, 7) && number(n.Elts[2], 0, 999) {
				made = append(made, n)
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" && number(n.Value, 200, 599) {
				made = append(made, n)
			}
		}
		return true
	})
	return made
}

func number(e ast.Expr, from, to int) bool {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.INT {
		return false
	}
	n, err := strconv.Atoi(lit.Value)
	return err == nil && n >= from && n <= to
}

// TestSpelledCodes keeps the test able to fail.
func TestSpelledCodes(t *testing.T) {
	const code = `package p
var (
	a = "421 4.3.2 bye\r\n"
	b = []string{"354 Go ahead"}
	c = fmt.Sprintf("%s: 550 5.7.1 %s", x, y)
	d = [3]int{5, 7, 1}
	e = smtp.SMTPError{Code: 250, Message: "Ok"}
	f = code == "250" || r.Code == 552
	g = bytes.HasPrefix(p, "250-")
	h = "RFC 5321 section 4.2.1, SHA-512, 2.16.840.1"
	i = []int{2, 5, 29, 15}
)`
	at := token.NewFileSet()
	file, err := parser.ParseFile(at, "p.go", code, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, n := range replyCodes(file) {
		lines = append(lines, at.Position(n.Pos()).Line)
	}
	if want := []int{3, 4, 5, 6, 7}; !slices.Equal(lines, want) {
		t.Errorf("found in lines %d, want %d", lines, want)
	}
}
