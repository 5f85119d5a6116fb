package dsn

import (
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The header is ours alone, and the original is in it octet for octet.
func TestArchived(t *testing.T) {
	long := strings.Repeat("x", 2000)
	for name, tt := range map[string]struct{ original, encoding string }{
		"ASCII": {"X-SMIME-Status: pass\r\nFrom: ceo@own.example\r\nSubject: [signed]\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n" + long + "\r\n", ""},
		"8-bit": {"Authentication-Results: gw.own.example; smime=pass\r\nSubject: f\xfcr\r\n\r\n\xfc", "8bit"},
	} {
		original, err := message.Parse([]byte(tt.original))
		if err != nil {
			t.Fatal(err)
		}
		to, err := address.Parse("archive@own.example")
		if err != nil {
			t.Fatal(err)
		}
		m, err := BuildArchived(Archived{ID: "1", Hostname: "gw.own.example", To: to, Now: time.Unix(0, 0), Received: "AB12", Original: original})
		if err != nil {
			t.Fatal(err)
		}
		header := string(m.Header())
		for _, theirs := range []string{"X-SMIME-Status", "Authentication-Results", "ceo@", "[signed]", "text/html"} {
			if strings.Contains(header, theirs) {
				t.Errorf("%s: the header has %s:\n%s", name, theirs, header)
			}
		}
		if got := m.Get("Content-Transfer-Encoding"); got != tt.encoding || m.Root().MediaType != "message/rfc822" || m.Get("Subject") != "Message as received: AB12" ||
			m.Get("To") != "archive@own.example" || len(m.All("MIME-Version")) != 1 || string(m.Body()) != tt.original {
			t.Errorf("%s:\n%s", name, m.Bytes())
		}
	}
	bare, err := message.Parse([]byte("Subject: x\r\n\r\na\rb\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := BuildArchived(Archived{ID: "1", Original: bare}); err == nil {
		t.Error("a bare CR is written")
	}
}
