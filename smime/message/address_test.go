package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMailboxes(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"a@b.example", "a@b.example"},
		{"<a@b.example>", "a@b.example"},
		{"A <a@b.example>", "A=a@b.example"},
		{"A B. C <a@b.example>, d@e.example", "A B. C=a@b.example d@e.example"},
		{`"x, <y@z.example>" <a@b.example>`, "x, <y@z.example>=a@b.example"},
		{"(c (d) \\)) a@b.example (x@y.example)", "a@b.example"},
		{"a@b.example, , c@d.example,", "a@b.example c@d.example"},
		{"undisclosed-recipients:;", ""},
		{"Friends: a@b.example, C <c@d.example>;, e@f.example", "a@b.example C=c@d.example e@f.example"},
		{`"a b"@c.example`, `"a b"@c.example`},
		{`<"a>b"@c.example>`, `"a>b"@c.example`},
		{"=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_X?= <j@x.example>", "Jörg X=j@x.example"},
		{"=?utf-8?q?a=0Ab=00?= <j@x.example>", "ab=j@x.example"},
		{"Jörg <jörg@x.example>", "Jörg=jörg@x.example"},
		{"a@[192.0.2.1]", "a@[192.0.2.1]"},
		{"a@b.example <a@b.example>", "a@b.example=a@b.example"},
		{"A a@b.example  <A@B.example>", "A a@b.example=A@B.example"},
		{"'a@b.example' <a@b.example>", "'a@b.example'=a@b.example"},
		{"Alice, Dr. <a@b.example>", "Alice, Dr.=a@b.example"},
		{"Lund, Alice, Dr. <a@b.example>, c@d.example", "Lund, Alice, Dr.=a@b.example c@d.example"},
		{"c@d.example, Alice, Dr. <a@b.example>", "c@d.example Alice, Dr.=a@b.example"},
		{"Alice [x] <a@b.example>", "Alice [x]=a@b.example"},
		{"[x] Alice <a@b.example>", "[x] Alice=a@b.example"},
	} {
		boxes, err := parseMailboxes(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		var got []string
		for _, b := range boxes {
			text := b.Address.String()
			if b.Name != "" {
				text = b.Name + "=" + text
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.in, diff)
		}
	}
}

// What two readers may read differently is no address at all.
func TestDoubtfulMailboxes(t *testing.T) {
	for _, in := range []string{
		"a", "a b", "@b.example", "a@", "<>", "<a>", "<a@b.example", "a@b.example>",
		"a@b.example <c@d.example>", "A a@b.example <c@d.example>", "a@b.example x <c@d.example>", "Alice, b@c.example", "'c@d.example' <a@b.example>", "'a@b.example <a@b.example>", "a@b.example' <a@b.example>",
		"Alice, a@b.example <c@d.example>", "a@b.example a@b.example", "[a]", "a, b", ", <a@b.example> x", "a@b <a@b.example>",
		"a@b.example c@d.example", "<a@b.example> <c@d.example>",
		"<a@b.example> c@d.example", "a@b.example;", "x: a@b.example", "x: y: a@b.example;;",
		"a (c", `"a <b@c.example>`, "a(c)@b.example", "a @b.example", "a@ b.example",
		"<@x.example:a@b.example>", "a@b@c.example", "<a@b.example@c.example>",
		"=?utf-8?q?a?=@b.example", "<=?utf-8?q?a@b.example=00?=@c.example>",
		"=?utf-8?q?a@b.example?= =?utf-8?q?x?=@c.example",
		"a..b@c.example", "a@b..example", "a\x00@b.example", "<a@b.example\x00@c.example>",
		"<a(b)@c.example>", "x: a@b.example; c@d.example", "[a@b.example]", `a\@b@c.example`,
		"@ <a@b.example>", "@a@b.example <a@b.example>", "A,@a@b.example <a@b.example>", "A <", "@", "@<", "a,@<",
	} {
		if boxes, err := parseMailboxes(in); err == nil {
			t.Errorf("%q: accepted as %v", in, boxes)
		}
	}
}

func TestAddressesOfFields(t *testing.T) {
	m := parse(t, "To: a@b.example,\n c@d.example\nto : e@f.example\n\n")
	addrs, err := m.Addresses("To")
	if err != nil || len(addrs) != 3 {
		t.Errorf("%v, %v", addrs, err)
	}
	if addrs, err := m.Addresses("Cc"); err != nil || len(addrs) != 0 {
		t.Errorf("no field: %v, %v", addrs, err)
	}
}
