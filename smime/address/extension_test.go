package address

import "testing"

func TestWithoutExtension(t *testing.T) {
	for _, tt := range []struct{ in, delimiters, want string }{
		{"bob+news@b.example", "+", "bob@b.example"},
		{"Bob+news+more@B.example", "+", "Bob@B.example"},
		{"bob-x+news@b.example", "+-", "bob@b.example"},
		{"bob-x+news@b.example", "+", "bob-x@b.example"},
		{"bob+@b.example", "+", "bob@b.example"},
		{"jörg+news@bücher.example", "+", "jörg@bücher.example"},
		{`"b b+news"@b.example`, "+", `"b b"@b.example`},
		{"bob.+news@b.example", "+", `"bob."@b.example`},
		{"+news@b.example", "+", ""},
		{"bob@b.example", "+", ""},
		{"bob+news@b.example", "", ""},
		{"owner-bob@b.example", "-", ""},
		{"Bob-Request@b.example", "-", ""},
		{"owner-bob+x@b.example", "+", "owner-bob@b.example"},
		{"MAILER-DAEMON@b.example", "-", ""},
	} {
		a, err := Parse(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := a.WithoutExtension(tt.delimiters)
		if got.String() != tt.want || ok != (tt.want != "") {
			t.Errorf("%q at %q: %q, %t, want %q", tt.in, tt.delimiters, got, ok, tt.want)
		}
		if !ok {
			continue
		}
		if again, err := Parse(got.String()); err != nil || !again.Equal(got, ExactCase) {
			t.Errorf("%q is no address as it is written: %v", got, err)
		}
	}
	if got, ok := Null.WithoutExtension("+"); ok {
		t.Errorf("the null reverse-path has the mailbox %q", got)
	}
}

// TestSameMailbox: the mailbox reads what goes to its extensions, and an extension
// nothing that goes to the mailbox or to another extension.
func TestSameMailbox(t *testing.T) {
	for _, tt := range []struct {
		named, to, delimiters string
		want                  bool
	}{
		{"bob@b.example", "Bob+news@b.example", "+", true},
		{"bob+news@b.example", "bob+News@b.example", "+", true},
		{"bob@b.example", "bob+news@b.example", "", false},
		{"bob@b.example", "bob+news@b.example", "-", false},
		{"bob+news@b.example", "bob@b.example", "+", false},
		{"bob+a@b.example", "bob+b@b.example", "+", false},
		{"bob@c.example", "bob+news@b.example", "+", false},
	} {
		named, err := Parse(tt.named)
		if err != nil {
			t.Fatal(err)
		}
		to, err := Parse(tt.to)
		if err != nil {
			t.Fatal(err)
		}
		if got := named.SameMailbox(to, IgnoreCase, tt.delimiters); got != tt.want {
			t.Errorf("%s for %s at %q: %t", named, to, tt.delimiters, got)
		}
	}
}
