package cms

import (
	"encoding/asn1"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Each object identifier must be what the comment beside it says.
func TestObjectIdentifiers(t *testing.T) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "oid.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	seen := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name := spec.Names[0].Name
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSpace(spec.Comment.Text())
		var oid asn1.ObjectIdentifier
		for _, part := range strings.Split(want, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			oid = append(oid, n)
		}
		der, err := asn1.Marshal(oid)
		if err != nil || string(der[2:]) != value {
			t.Errorf("%s is %x, its comment %x", name, value, der[2:])
		}
		if got := dotted([]byte(value)); got != want {
			t.Errorf("%s is shown as %s", name, got)
		}
		if other := seen[value]; other != "" {
			t.Errorf("%s is the same as %s", name, other)
		}
		seen[value] = name
		count++
		return false
	})
	if count < 60 {
		t.Errorf("%d object identifiers only", count)
	}
}

func TestDottedStrange(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"\x80":                  "",
		"\x2a\x86":              "1.2",
		strings.Repeat("*", 40): "oid of 40 octets",
	} {
		if got := dotted([]byte(in)); got != want {
			t.Errorf("%x: %q", in, got)
		}
	}
}

func TestDigestNames(t *testing.T) {
	for _, name := range []string{"sha-256", "SHA256", "sha256", "Sha-512", "sha1", "md5", "sha-384", "sha224"} {
		h, ok := DigestByName(name)
		if !ok || DigestName(h) == "" || pkix.DigestOID(h) == "" {
			t.Errorf("%s: %v", name, h)
		}
	}
	for _, name := range []string{"", "sha", "sha-3", "unknown"} {
		if h, ok := DigestByName(name); ok {
			t.Errorf("%s: %v", name, h)
		}
	}
	if DigestName(0) != "" || pkix.DigestOID(0) != "" {
		t.Error("no hash has a name")
	}
}
