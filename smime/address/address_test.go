package address

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, wire, key string }{
		{"a@b.example", "a@b.example", "a@b.example"},
		{"A.B+c@B.Example", "A.B+c@B.Example", "a.b+c@b.example"},
		{`"a b"@c.example`, `"a b"@c.example`, "a b@c.example"},
		{`"ab"@c.example`, "ab@c.example", "ab@c.example"},
		{`"a\"\\@b"@c.example`, `"a\"\\@b"@c.example`, `a"\@b@c.example`},
		{"a@bücher.example", "a@bücher.example", "a@xn--bcher-kva.example"},
		{"a@BÜCHER.example", "a@BÜCHER.example", "a@xn--bcher-kva.example"},
		{"jörg@b.example", "jörg@b.example", "jörg@b.example"},
		{"a@[192.0.2.1]", "a@[192.0.2.1]", "a@[192.0.2.1]"},
		{"a@[IPv6:2001:DB8::1]", "a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"},
		{"a@b_c.example", "a@b_c.example", "a@b_c.example"},
		{"a@localhost", "a@localhost", "a@localhost"},
		{"*()@b.example", "", ""},
		{"a@b.example.", "a@b.example", "a@b.example"},
		{`"*()"@b.example`, `"*()"@b.example`, "*()@b.example"},
	} {
		a, err := Parse(tt.in)
		if tt.wire == "" {
			if err == nil {
				t.Errorf("%q: accepted as %q", tt.in, a)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if a.String() != tt.wire || a.Key(IgnoreCase) != tt.key || a.Raw() != tt.in {
			t.Errorf("%q: wire %q, key %q, raw %q", tt.in, a, a.Key(IgnoreCase), a.Raw())
		}
	}
}

// RFC 5321 section 4.5.3.1 allows 64 octets and asks for no limit: senders that
// write the recipient, or a whole chain of forwarders, into the local part need
// more (VERP, SRS, BATV).
func TestLocalPartsOverTheLimit(t *testing.T) {
	for _, local := range []string{
		"bounces+12345678-a1b2-firstname.middlename.lastname=department.example.org",
		"SRS1=AbCd=relay.example==XyZw=TT=a-rather-long-domain.example=firstname.lastname",
		strings.Repeat("a", 65), strings.Repeat("a", 890),
	} {
		a, err := Parse(local + "@b.example")
		if err != nil || a.Local() != local || a.String() != local+"@b.example" {
			t.Errorf("%q: %q, %v", local, a, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "a", "@", "a@", "@b", "a@@b", "a@b@c", "a b@c", " a@b", "a@b ", "a@b c", "a@b\r\n", "a\x00@b", "a@b\x00",
		"a\r\nRCPT TO:<x@y>@b", `"a` + "\r\n" + `"@b`, `"a@b`, `"a"b@c`, `a"b"@c`, `"a\"@b`, `"a"@b@c`, `""@b`,
		".a@b", "a.@b", "a..b@c", "a@.b", "a@.", "a@b..", "a@b..c", "a@-b", "a@b-", "a@b*c", "a@b(c)", "<a@b>", "a@<b>", "@x:a@b",
		"a@[", "a@[]", "a@[1.2.3.4", "a@[1.2.3.4]x", "a@[a b]", "a@[>]", "a@\xff.example", "\xff@b", "a\u0085@b", "a\u2028@b",
		strings.Repeat("a", 899) + "@b", `"` + strings.Repeat(`\"`, 449) + `"@b`, "a@" + strings.Repeat("b.", 128) + "c", "a@" + strings.Repeat("b", 64),
	} {
		if a, err := Parse(in); err == nil {
			t.Errorf("%q: accepted as %q", in, a)
		}
	}
}

func TestParsePath(t *testing.T) {
	if a, err := ParsePath("<>"); err != nil || !a.IsNull() || a.String() != "" || a.Key(IgnoreCase) != "" {
		t.Errorf("null path: %v, %v", a, err)
	}
	a, err := ParsePath(`<"ab"@C.example>`)
	if err != nil || a.Raw() != `<"ab"@C.example>` || a.String() != "ab@C.example" {
		t.Errorf("%q, %v", a.Raw(), err)
	}
	for in, want := range map[string]string{
		"<a..b@c.example>": `"a..b"@c.example`, "<a.@c.example>": `"a."@c.example`, "<.a@c.example.>": `".a"@c.example`,
	} {
		if a, err := ParsePath(in); err != nil || a.String() != want {
			t.Errorf("%q: %q, %v", in, a, err)
		}
	}
	for _, in := range []string{"", "a@b", "<a@b", "a@b>", "<a@b>>", "<<a@b>", "<@x:a@b>", "< >"} {
		if a, err := ParsePath(in); err == nil {
			t.Errorf("%q: accepted as %q", in, a)
		}
	}
}

// What an SMTP library hands over without its quotes must not become another
// recipient when it is written again.
func TestParseUnquoted(t *testing.T) {
	a, err := ParseUnquoted("victim@corp.example> ORCPT=rfc822;x@d.example")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := a.String(), `"victim@corp.example> ORCPT=rfc822;x"@d.example`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, in := range []string{"", "a", "@b", "a@", "a\r\n@b", "a@b c"} {
		if a, err := ParseUnquoted(in); err == nil {
			t.Errorf("%q: accepted as %q", in, a)
		}
	}
}

func TestExactCase(t *testing.T) {
	a, _ := Parse("Alice@Example.org")
	b, _ := Parse("alice@example.ORG")
	if !a.Equal(b, IgnoreCase) || a.Equal(b, ExactCase) {
		t.Error("the local part rule is not kept")
	}
	if c, _ := Parse("Alice@example.org"); !a.Equal(c, ExactCase) {
		t.Error("domains are compared with their case")
	}
}

// The Kelvin sign is no k: the holder of a certificate for one is not the other.
func TestUnicodeCaseIsKept(t *testing.T) {
	a, _ := Parse("mi\u212ae@example.org")
	b, _ := Parse("mike@example.org")
	if a.IsNull() || a.Equal(b, IgnoreCase) {
		t.Error("the Kelvin sign compares as k")
	}
}

// Who was written in the form that is asked for is not written again: each message asks
// for it many times.
func TestFormsAreNotMadeAgain(t *testing.T) {
	for _, in := range []string{"alice@example.org", "<alice@example.org>"} {
		parse := Parse
		if in[0] == '<' {
			parse = ParsePath
		}
		a, err := parse(in)
		if err != nil {
			t.Fatal(err)
		}
		for name, form := range map[string]func() string{
			"wire form": a.String, "exact key": func() string { return a.Key(ExactCase) }, "key": func() string { return a.Key(IgnoreCase) },
		} {
			if n := testing.AllocsPerRun(10, func() { _ = form() }); n > 0 || form() != "alice@example.org" {
				t.Errorf("%s of %s: %s with %v allocations", name, in, form(), n)
			}
		}
	}
	for in, want := range map[string][3]string{ // wire form, exact key, key
		"<Alice@Example.ORG>": {"Alice@Example.ORG", "Alice@example.org", "alice@example.org"},
		`"a b"@c.example`:     {`"a b"@c.example`, "a b@c.example", "a b@c.example"},
		`"ab"@c.example`:      {"ab@c.example", "ab@c.example", "ab@c.example"},
		`<"<a"@c.example>`:    {`"<a"@c.example`, "<a@c.example", "<a@c.example"},
		"j@bücher.example":    {"j@bücher.example", "j@xn--bcher-kva.example", "j@xn--bcher-kva.example"},
	} {
		parse := Parse
		if in[0] == '<' {
			parse = ParsePath
		}
		a, err := parse(in)
		if got := [3]string{a.String(), a.Key(ExactCase), a.Key(IgnoreCase)}; err != nil || got != want {
			t.Errorf("%s: %q, want %q, %v", in, got, want, err)
		}
	}
}

func TestASCII(t *testing.T) {
	for in, want := range map[string]bool{"a@bücher.example": true, "jörg@b.example": false} {
		if a, err := Parse(in); err != nil || a.ASCII() != want {
			t.Errorf("%q: %v, %v", in, a.ASCII(), err)
		}
	}
}

// Whatever local part there is, its wire form reads back as the same address
// and holds nothing that ends a command or a path.
func TestWireFormRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.String().Draw(t, "local") + "@d.example"
		a, err := ParseUnquoted(in)
		if err != nil {
			t.Skip()
		}
		b, err := ParsePath("<" + a.String() + ">")
		if err != nil {
			t.Fatalf("%q is written as %q: %v", in, a, err)
		}
		if !a.Equal(b, ExactCase) || strings.ContainsAny(a.String(), "\r\n\x00") {
			t.Fatalf("%q is written as %q and read as %q", in, a, b.Local())
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("a@b.example")
	f.Add(`"a\"@b"@c.example`)
	f.Fuzz(func(t *testing.T, in string) {
		a, err := Parse(in)
		if err != nil {
			return
		}
		b, err := Parse(a.String())
		if err != nil || !a.Equal(b, ExactCase) {
			t.Fatalf("%q is written as %q: %v", in, a, err)
		}
	})
}
