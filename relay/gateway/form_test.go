package gateway

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// opaqueLetter is bob's letter, signed in one piece with its signature.
func (w *world) opaqueLetter() *message.Message {
	w.t.Helper()
	plain := parseMessage(w.t, "From: Bob <bob@enc.example>\nTo: alice@own.example\nSubject: hello\nDate: Thu, 1 Jan 2026 09:00:00 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n"+text+"\n")
	id, err := w.theirs.Signing(w.t.Context(), w.addr(bob))
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := smime.Sign(plain, id, smime.SignOptions{Opaque: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// delivered is what alice gets.
func (w *world) delivered(m *message.Message) *message.Message {
	w.t.Helper()
	o := w.arrives(m, alice)
	if len(o.Deliveries) != 1 {
		w.t.Fatal(w.outline(o))
	}
	return o.Deliveries[0].Message
}

func TestDeliveredReadable(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "all", Deliver: "readable"})
	for name, m := range map[string]*message.Message{"opaque": w.opaqueLetter(), "opaque, encrypted": w.toAlice(w.opaqueLetter())} {
		got := w.delivered(m)
		if got.Root().MediaType != "text/plain" || string(got.Body()) != text+"\r\n" || statusWord(got) != "pass" {
			t.Errorf("%s:\n%s", name, got.Bytes())
		}
	}
	if got := w.delivered(w.bobsLetter("")); !isSigned(got) {
		t.Errorf("a clear signature goes:\n%s", got.Bytes())
	}
}

func TestSignaturesStripped(t *testing.T) {
	for strip, want := range map[string][2]bool{"never": {true, true}, "valid": {false, true}, "always": {false, false}} {
		w := withInboundRules(t, enforce.InboundRule{Name: "all", Deliver: "readable", StripSignature: strip})
		got := [2]bool{isSigned(w.delivered(w.bobsLetter(""))), isSigned(w.delivered(w.changed()))}
		if got != want {
			t.Errorf("%s: signed are %v, want %v", strip, got, want)
		}
	}
}

// Not an octet changes but for our fields and the forged ones.
func TestDeliveredAsIs(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "all", Deliver: "as-is"})
	const forged = "X-SMIME-Status: pass\r\nAuthentication-Results: gw.own.example; smime=pass\r\n"
	for name, m := range map[string]*message.Message{
		"opaque": w.opaqueLetter(), "clear": w.bobsLetter("X-Odd :  blanks \n"), "encrypted": w.toAlice(w.bobsLetter("")),
		"8-bit, long line": parseMessage(t, "From: x@y.example\nSubject: gr\xc3\xbc\xc3\x9fe\n\n\xff"+strings.Repeat("x", 2000)+"\n"),
	} {
		got := w.delivered(mustMessage(t, append([]byte(forged), m.Bytes()...)))
		_, rest, _ := bytes.Cut(got.Bytes(), []byte(statusField))
		_, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		for bytes.HasPrefix(rest, []byte("\t")) || bytes.HasPrefix(rest, []byte(" ")) {
			_, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		}
		if bytes.HasPrefix(rest, []byte(secretField)) {
			t.Errorf("%s: another field of the gateway", name)
		}
		if !bytes.Equal(rest, m.Bytes()) {
			t.Errorf("%s: became\n%q\nwant\n%q", name, rest, m.Bytes())
		}
	}
}

func TestOriginalAttached(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "all", Deliver: "readable", Original: "attach"})
	for name, m := range map[string]*message.Message{"opaque": w.opaqueLetter(), "encrypted": w.toAlice(w.bobsLetter(""))} {
		got := w.delivered(m)
		parts := got.Root().Children
		if len(parts) != 2 || parts[1].MediaType != "message/rfc822" || !bytes.Equal(parts[1].Content(), m.Bytes()) {
			t.Fatalf("%s:\n%s", name, got.Bytes())
		}
		if statusWord(got) != "pass" || !strings.Contains(string(parts[0].Bytes()), text) {
			t.Errorf("%s: %s\n%s", name, got.Get(statusField), parts[0].Bytes())
		}
	}
	if got := w.delivered(w.bobsLetter("")); got.Root().MediaType != "multipart/signed" {
		t.Errorf("what stays as it came has an attachment:\n%s", got.Bytes())
	}
}

// Recipients of different forms get different copies.
func TestFormsOfRecipients(t *testing.T) {
	w := withInboundRules(t,
		enforce.InboundRule{Name: "archive", Recipient: []string{"archive@own.example"}, Deliver: "as-is"},
		enforce.InboundRule{Name: "help", Recipient: []string{"help@own.example", "desk@own.example"}, Deliver: "readable"})
	o := w.arrives(w.opaqueLetter(), "archive@own.example", "help@own.example", "desk@own.example")
	if len(o.Deliveries) != 2 {
		t.Fatal(w.outline(o))
	}
	for _, d := range o.Deliveries {
		readable := len(d.Recipients) == 2
		if (d.Message.Root().MediaType == "text/plain") != readable {
			t.Errorf("%v:\n%s", d.Recipients, d.Message.Bytes())
		}
	}
}

// A form that takes more memory waits until there is some.
func TestFormsTakeReservedMemory(t *testing.T) {
	w := withInboundRules(t, enforce.InboundRule{Name: "all", Deliver: "readable", Original: "attach"})
	m := w.opaqueLetter()
	process := func(limit int64) error {
		share := relay.NewMemory(limit).Share()
		defer share.Release()
		_, err := w.gateway.outcome(relay.WithMemory(t.Context(), share), w.envelope("in", "bob@enc.example", alice), m)
		return err
	}
	if err := process(100 * int64(m.Size())); err != nil {
		t.Errorf("with enough: %v", err)
	}
	if err := process(2 * int64(m.Size())); err == nil || relay.ReplyFor(err).Code/100 == 2 {
		t.Errorf("with too little: %v", err)
	}
}

// Where the form follows from what decryption found, the memory that it takes is asked
// for whatever was found: the reply that there is none would tell.
func TestMemoryTellsNothingOfWhatWasDecrypted(t *testing.T) {
	w := withInboundRules(t,
		enforce.InboundRule{Name: "good", Result: []string{"pass"}, Deliver: "readable", Original: "attach"},
		enforce.InboundRule{Name: "other", OnResult: "quarantine"})
	signed, plain := w.toAlice(w.opaqueLetter()), w.toAlice(parseMessage(t, "From: Bob <bob@enc.example>\nSubject: hello\n\n"+strings.Repeat(text+"\n", 300)))
	process := func(m *message.Message, limit int64) error {
		share := relay.NewMemory(limit).Share()
		defer share.Release()
		_, err := w.gateway.outcome(relay.WithMemory(t.Context(), share), w.envelope("in", "bob@enc.example", alice), m)
		return err
	}
	for name, m := range map[string]*message.Message{"signed": signed, "plain": plain} {
		if err := process(m, 100*int64(m.Size())); err != nil {
			t.Errorf("%s: with enough: %v", name, err)
		}
		if err := process(m, 2*int64(m.Size())); err == nil {
			t.Errorf("%s: taken with too little", name)
		}
	}
}
