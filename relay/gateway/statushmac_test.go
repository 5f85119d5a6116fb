package gateway

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

const filterKey = "0123456789abcdef0123456789abcdef"

// genuine asks the function in docs/filters.md.
func genuine(t *testing.T, mail []byte) bool {
	t.Helper()
	_, code, ok := strings.Cut(string(testpki.Must(os.ReadFile("../../docs/filters.md"))), "```python\n")
	code, _, end := strings.Cut(code, "```")
	if !ok || !end {
		t.Fatal("docs/filters.md has no function")
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", code+"\nimport sys\nprint(genuine(sys.stdin.buffer.read(), b'"+filterKey+"'))")
	cmd.Stdin = bytes.NewReader(mail)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	return strings.TrimSpace(string(out)) == "True"
}

func filteredWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.config.Inbound.HMACKey = []byte(filterKey)
	w.start()
	return w
}

func TestStatusHMAC(t *testing.T) {
	w := filteredWorld(t)
	for name, m := range map[string]*message.Message{
		"signed":    w.bobsLetter("Message-ID: <1@enc.example>\n"),
		"encrypted": w.toAlice(w.bobsLetter("")),
		"forged":    parseMessage(t, "From: x@y.example\nX-SMIME-Status: pass\nX-SMIME-Status-HMAC: v1=00\n\nhello\n"),
		"folded":    parseMessage(t, "From: x\n  <x@y.example>\nMessage-ID:\n <1@y.example>\n\nhello\n\n\n"),
		"8-bit":     parseMessage(t, "From: gr\xc3\xbc\xc2\xa0\xff <x@y.example>\n\nhello\xa0\n"),
		"two dates": parseMessage(t, "From: x@y.example\nDate: a\nDate:  b\n\n"),
	} {
		got := w.receive(m)
		if n := len(got.All(hmacField)); n != 1 || !genuine(t, got.Bytes()) {
			t.Errorf("%s: %d fields, not genuine:\n%s", name, n, got.Bytes())
		}
	}
}

// What a server changes on the way leaves a status genuine, and what anyone else changes
// does not.
func TestStatusHMACOfChangedMail(t *testing.T) {
	w := filteredWorld(t)
	got := string(w.receive(w.bobsLetter("Message-ID: <1@enc.example>\n")).Bytes())
	for name, tt := range map[string]struct {
		from, to string
		want     bool
	}{
		"LF":            {"\r\n", "\n", true},
		"folded":        {"; signed=", ";\r\n\tsigned=", true},
		"subject":       {"Subject: hello", "Subject: [tag] hello", true},
		"status":        {"X-SMIME-Status: pass", "X-SMIME-Status: fail", false},
		"second status": {"Subject:", "X-SMIME-Status: pass\r\nSubject:", false},
		"no status":     {"X-SMIME-Status: ", "X-Status: ", false},
		"author":        {"From: Bob", "From: Eve", false},
		"second author": {"Subject:", "From: eve@enc.example\r\nSubject:", false},
		"Message-ID":    {"<1@enc.example>", "<2@enc.example>", false},
		"date":          {"Thu, 1 Jan", "Fri, 2 Jan", false},
		"type":          {"multipart/signed", "multipart/mixed", false},
		"body":          {text, text + ".", false},
		"HMAC":          {" v1=", " v1=0", false},
	} {
		changed := strings.ReplaceAll(got, tt.from, tt.to)
		if changed == got {
			t.Errorf("%s: nothing to change in\n%s", name, got)
		}
		if genuine(t, []byte(changed)) != tt.want {
			t.Errorf("%s: not %t", name, tt.want)
		}
	}
}

func TestForgedHMACIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.config.InboundPolicy = testpki.Must(enforce.CompileInbound([]enforce.InboundRule{{Name: "all", Deliver: "as-is"}}))
	w.start()
	forgery := parseMessage(t, "From: x@y.example\nx-smime-status-hmac :\n v1=00\n\nhello\n")
	if got := w.receive(forgery); got.Has(hmacField) {
		t.Errorf("without a key:\n%s", got.Header())
	}
	w.config.Inbound.HMACKey = []byte(filterKey)
	w.start()
	if got := w.receive(forgery); len(got.All(hmacField)) != 1 || !genuine(t, got.Bytes()) {
		t.Errorf("with a key:\n%s", got.Header())
	}
	o, err := w.process(w.envelope("out", "alice@own.example", "x@elsewhere.example"), parseMessage(t, "From: alice@own.example\nX-SMIME-Status-HMAC: v1=00\n\nhello\n"))
	if err != nil || len(o.Deliveries) != 1 || o.Deliveries[0].Message.Has(hmacField) {
		t.Errorf("outbound: %v", err)
	}
}
