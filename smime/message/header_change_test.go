package message

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// shape is what a tree tells, whatever the memory of its message.
func shape(p *Part) []any {
	list := []any{p.MediaType, p.Params, p.Encoding, p.Defect, p.Ambiguous, p.Closed, string(p.Bytes()), string(p.Content())}
	for _, f := range p.Fields {
		list = append(list, f.Name, string(f.Raw))
	}
	for _, c := range p.Children {
		list = append(list, shape(c))
	}
	return list
}

// A message of which only the header was changed is the one that is read from its
// octets, and has the body of the other without a copy, unless that is described in
// another way.
func TestChangedHeader(t *testing.T) {
	bodies := []string{
		"Content-Type: text/plain\r\n\r\nbody\r\n",
		"\r\nbody",
		"Content-Type: multipart/mixed; boundary=b\r\nContent-Type: text/plain\r\n\r\n--b\r\n\r\na\r\n--b--\r\n",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\nX: y\r\n\r\na\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nA: b\r\n\r\nc\r\n--b--\r\npost\r\n",
		"Content-Transfer-Encoding: base64\r\n\r\nYQ==\r\n",
		"\r\n",
		"",
	}
	changes := map[string]Change{
		"prepend":        {Prepend: []Field{RawField("Received", "x")}},
		"append":         {Append: []Field{RawField("X", "y")}},
		"remove":         {Remove: Named("Subject")},
		"another type":   {Append: []Field{RawField("Content-Type", "text/html")}},
		"without a type": {Remove: Named("Content-Type")},
		"type moved":     {Remove: Named("Content-Type"), Prepend: []Field{RawField("Content-Type", "multipart/mixed; boundary=b")}},
	}
	for _, body := range bodies {
		for name, c := range changes {
			for _, again := range []bool{false, true} {
				m := parse(t, "Subject: s\r\nFrom: a@b\r\n"+body)
				if again {
					var err error
					if m, err = m.Apply(Change{Prepend: []Field{RawField("First", "1")}}); err != nil {
						t.Fatal(err)
					}
				}
				now, err := m.Apply(c)
				if err != nil {
					t.Fatalf("%s: %q: %v", name, body, err)
				}
				read := parse(t, string(now.Bytes()))
				if !reflect.DeepEqual(shape(now.Root()), shape(read.Root())) {
					t.Errorf("%s: %q:\n%v\nis read as\n%v", name, body, shape(now.Root()), shape(read.Root()))
				}
				if now.Size() != len(now.Bytes()) || now.LineEnd() != read.LineEnd() || !bytes.Equal(now.Header(), read.Header()) || !bytes.Equal(now.Body(), read.Body()) {
					t.Errorf("%s: %q: header %q, body %q", name, body, now.Header(), now.Body())
				}
				if shares := len(m.Body()) > 0 && &now.Body()[0] == &m.Body()[0]; name == "prepend" && len(m.Body()) > 0 && !shares {
					t.Errorf("%q was copied", body)
				}
			}
		}
	}
	if _, err := parse(t, "A: b\r\n\r\nx\r\n").Apply(Change{Append: []Field{{Name: "X", Raw: []byte("X: " + strings.Repeat("y", 1000) + "\r\n")}}}); err == nil {
		t.Error("a long line was written")
	}
}
