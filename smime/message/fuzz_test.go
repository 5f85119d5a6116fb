package message

import (
	"bytes"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, in := range []string{
		"", "Subject: x\r\n\r\nbody\r\n", "A: b\r\n c\r\n", "From: a <a@b.example>, c: d@e.example;\r\n\r\n",
		"Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\npre\r\n--b\r\nA: 1\r\n\r\nx\r\n--b \r\n\r\n--b--\r\nepi",
		"Content-Type: message/rfc822\n\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nA: 1\n\nx\n--b--",
		"Content-Type: text/plain (c); charset*0*=utf-8''a%20; charset*1=\"b\\\"\"; x\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n",
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n=41=\r\n\r\n",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Parse(in)
		if err != nil {
			return
		}
		checkTree(t, m.Root(), 0, len(in))
		for _, name := range []string{"From", "To"} {
			if boxes, err := m.Mailboxes(name); err == nil {
				for _, b := range boxes {
					if b.Address.IsNull() || bytes.ContainsAny([]byte(b.Name+b.Address.String()), "\r\n\x00") {
						t.Errorf("mailbox %q %q", b.Name, b.Address)
					}
				}
			}
		}
		checkRendered(t, m)
	})
}

// checkTree checks that parts lie in order inside of their parents.
func checkTree(t *testing.T, p *Part, from, to int) {
	t.Helper()
	if p.Start < from || p.Body < p.Start || p.End < p.Body || p.End > to {
		t.Fatalf("part %d..%d..%d is not inside %d..%d", p.Start, p.Body, p.End, from, to)
	}
	_, _ = p.Decode()
	_ = p.Filename()
	pos := p.Body
	for _, c := range p.Children {
		checkTree(t, c, pos, p.End)
		pos = c.End
	}
}

// checkRendered checks that a rendered message has only CRLF, that it reads back
// the same, and that a second rendering changes nothing.
func checkRendered(t *testing.T, m *Message) {
	t.Helper()
	f, err := NewField("X-New", "value")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := m.Apply(Change{Remove: Named("Subject"), Prepend: []Field{f}})
	if err != nil {
		return
	}
	if changed.LineEnd() != CRLF {
		t.Fatalf("line ends of %q", changed.Bytes())
	}
	again, err := Parse(changed.Bytes())
	if err != nil || len(again.Fields()) != len(changed.Fields()) || again.Get("X-New") != "value" || again.Has("Subject") {
		t.Fatalf("%q reads back as %d fields, %v", changed.Bytes(), len(again.Fields()), err)
	}
	if !bytes.Equal(changed.Body(), Canonical(m.Body())) {
		t.Fatalf("body %q, was %q", changed.Body(), m.Body())
	}
	same, err := changed.Apply(Change{})
	if err != nil || !bytes.Equal(same.Bytes(), changed.Bytes()) {
		t.Fatalf("rendered again: %q, %v", same.Bytes(), err)
	}
}

func FuzzMailboxes(f *testing.F) {
	for _, in := range []string{
		"a@b.example", "A <a@b.example>, c: \"d e\"@f.example (x);", "=?utf-8?q?=C3=A4?= <a@b.example>", `"a\"b" <"x y"@z.example>`,
	} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		boxes, err := parseMailboxes(unfold([]byte(in)))
		if err != nil {
			return
		}
		for _, b := range boxes {
			again, err := parseMailboxes("<" + b.Address.String() + ">")
			if err != nil || len(again) != 1 || again[0].Address.Key(0) != b.Address.Key(0) {
				t.Fatalf("%q: %q reads back as %v, %v", in, b.Address, again, err)
			}
		}
	})
}

func FuzzNewField(f *testing.F) {
	f.Add("X-A", "some words that are folded when there are enough of them in one line of the header, are they not")
	f.Add("a:", "b\r\nc")
	f.Fuzz(func(t *testing.T, name, value string) {
		field, err := NewField(name, value)
		if err != nil {
			return
		}
		h := readHeader(field.Raw, 0, func(int) bool { return false })
		if h.err != nil || len(h.fields) != 1 || h.body != len(field.Raw) || h.fields[0].Name != name {
			t.Fatalf("%q, %q makes %q", name, value, field.Raw)
		}
		if err := checkLines(field.Raw, maxLine); err != nil {
			t.Fatalf("%q: %v", field.Raw, err)
		}
	})
}
