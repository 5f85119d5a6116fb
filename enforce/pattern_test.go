package enforce

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
)

func mustParse(t testing.TB, s string) address.Address {
	t.Helper()
	if s == "<>" {
		return address.Null
	}
	a, err := address.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPatterns(t *testing.T) {
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{"bob@example.net", []string{"bob@example.net", "Bob@EXAMPLE.net", `"bob"@example.net`}, []string{"bob@sub.example.net", "bobby@example.net", "<>"}},
		{"example.net", []string{"bob@example.net", "x@Example.Net"}, []string{"bob@sub.example.net", "bob@badexample.net", "example.net@example.com"}},
		{".example.net", []string{"bob@sub.example.net", "bob@a.b.example.net"}, []string{"bob@example.net", "bob@badexample.net"}},
		{"sales-*@example.net", []string{"sales-eu@example.net", "SALES-@example.net"}, []string{"sales@example.net", "sales-eu@example.net.evil.example"}},
		{"*@example.net", []string{"bob@example.net"}, []string{`"x@example.net"@evil.example`, "bob@sub.example.net"}},
		{"bob@*", []string{"bob@anything.example"}, []string{`"bob@x"@anything.example`, "bobby@x.example"}},
		{"*.example.net", []string{"bob@a.example.net", "bob@a.b.example.net"}, []string{"bob@example.net"}},
		{"b?b@example.net", []string{"bob@example.net", "bib@example.net"}, []string{"bb@example.net", "boob@example.net"}},
		{"*", []string{"bob@example.net", `"a b"@x.example`}, []string{"<>"}},
		{"<>", []string{"<>"}, []string{"bob@example.net"}},
		{"bücher.example", []string{"bob@xn--bcher-kva.example", "bob@bücher.example"}, []string{"bob@bucher.example"}},
		{`"a*b"@example.net`, []string{`"a*b"@example.net`}, []string{"axb@example.net"}},
		{"*a*b*c*@example.net", []string{"xaybzc@example.net", "abc@example.net"}, []string{"acb@example.net"}},
	}
	for _, tt := range tests {
		p, err := CompilePatterns([]string{tt.pattern})
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		for _, s := range tt.yes {
			if !p.Match(mustParse(t, s)) {
				t.Errorf("%q does not match %s", tt.pattern, s)
			}
		}
		for _, s := range tt.no {
			if p.Match(mustParse(t, s)) {
				t.Errorf("%q matches %s", tt.pattern, s)
			}
		}
	}
}

func TestBrokenPatterns(t *testing.T) {
	for _, s := range []string{"", "@example.net", "bob@", "a b@example.net", "exam ple.net", "..", ".", "a@b@c", "*@", "@*", "*@*@*", "*@exa mple.net", "-x.example"} {
		if _, err := CompilePatterns([]string{s}); err == nil {
			t.Errorf("%q compiles", s)
		} else if !strings.Contains(err.Error(), `"`+s+`"`) {
			t.Errorf("%q: the error does not quote it: %v", s, err)
		}
	}
}

// A pattern of many stars must not cost more than the product of the lengths.
func TestWildcardIsNotExponential(t *testing.T) {
	pattern := strings.Repeat("*a", 30) + "*b"
	if Wildcard(pattern, strings.Repeat("a", 64)) {
		t.Error("matches without a b")
	}
}
