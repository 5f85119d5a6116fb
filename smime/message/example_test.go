package message_test

import (
	"fmt"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// text is a message of two parts.
var text = []byte(strings.ReplaceAll(`From: Alice <alice@example.org>
Subject: report
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Hello.
--b
Content-Type: application/pdf; name=report.pdf
Content-Transfer-Encoding: base64

JVBERg==
--b--
`, "\n", "\r\n"))

func parsed() *message.Message {
	m, err := message.Parse(text)
	if err != nil {
		panic(err)
	}
	return m
}

func ExampleParse() {
	m := parsed()
	fmt.Println(m.Get("Subject"), m.Root().MediaType, len(m.Root().Children))
	// Output:
	// report multipart/mixed 2
}

func ExampleMessage_Mailboxes() {
	list, err := parsed().Mailboxes("From")
	fmt.Println(list[0].Name, list[0].Address, err)
	// Output:
	// Alice alice@example.org <nil>
}

func ExamplePart_Walk() {
	parsed().Root().Walk(func(p *message.Part) bool {
		if !p.Multipart() {
			content, err := p.Decode()
			fmt.Printf("%s %q %q %v\n", p.MediaType, p.Filename(), content, err)
		}
		return true
	})
	// Output:
	// text/plain "" "Hello." <nil>
	// application/pdf "report.pdf" "%PDF" <nil>
}

// A change makes a new message; the old one stays as it was.
func ExampleMessage_Apply() {
	m := parsed()
	field, err := message.NewField("X-Reviewed", "yes")
	if err != nil {
		panic(err)
	}
	changed, err := m.Apply(message.Change{Remove: message.Named("Subject"), Append: []message.Field{field}})
	fmt.Println(changed.Get("X-Reviewed"), changed.Has("Subject"), m.Has("Subject"), err)
	// Output:
	// yes false true <nil>
}

func ExampleBuild() {
	field, err := message.NewField("Subject", "test")
	if err != nil {
		panic(err)
	}
	m, err := message.Build([]message.Field{field}, []byte("Hello.\r\n"))
	fmt.Printf("%q %v\n", m.Bytes(), err)
	// Output:
	// "Subject: test\r\n\r\nHello.\r\n" <nil>
}

func ExampleScanLines() {
	s := message.ScanLines([]byte("From here\r\nto there\r\n"))
	fmt.Println(s.CRLF, s.ASCII, s.Longest, s.Fragile)
	// Output:
	// true true 9 true
}
