package smime

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/message"
)

const protectedText = "Message-ID: <1@example.org>\nKeywords: merger\nReceived: by x\nX-Own: 1\n" +
	"Bcc: secret@example.org\nResent-Bcc: secret@example.org\nContent-Type: text/plain; charset=utf-8\n\nmeet at ten\n"

// Every way to protect, and how to open it.
func protectedForms(t *testing.T, w *world, m *message.Message) map[string]*message.Message {
	return map[string]*message.Message{
		"clear":          w.sign(t, m, w.alice, SignOptions{Headers: HeadersClear}),
		"opaque":         w.sign(t, m, w.alice, SignOptions{Headers: HeadersClear, Opaque: true}),
		"cipher":         encrypt(t, m, EncryptOptions{Headers: HeadersCipher}, w.bob),
		"signed, cipher": encrypt(t, w.sign(t, m, w.alice, SignOptions{Headers: HeadersCipher}), EncryptOptions{}, w.bob),
		"opaque, cipher": encrypt(t, w.sign(t, m, w.alice, SignOptions{Headers: HeadersCipher, Opaque: true}), EncryptOptions{}, w.bob),
	}
}

func TestHeaderProtection(t *testing.T) {
	w := newWorld(t)
	m := mail(t, protectedText)
	for name, got := range protectedForms(t, w, m) {
		t.Run(name, func(t *testing.T) {
			cipher := strings.Contains(name, "cipher")
			subject, keywords := "hello", "merger"
			if cipher {
				subject, keywords = "[...]", ""
			}
			if got.Get("Subject") != subject || got.Get("Keywords") != keywords || len(got.All("Subject")) != 1 {
				t.Errorf("outside: %q", got.Header())
			}
			for _, name := range []string{"From", "To", "Date", "Message-ID", "Received", "X-Own"} {
				if got.Get(name) != m.Get(name) {
					t.Errorf("outside %s is %q", name, got.Get(name))
				}
			}
			opened := w.open(got, w.bob)
			result := certs.Pass
			if name == "cipher" {
				result = certs.None
			}
			if opened.Report.Result != result || opened.Decrypted != cipher {
				t.Fatalf("%+v", opened.Report)
			}
			for _, name := range []string{"From", "To", "Subject", "Keywords", "Date", "Message-ID", "X-Own", "Received"} {
				if all := opened.Message.All(name); len(all) != 1 || all[0] != m.Get(name) {
					t.Errorf("opened: %s is %q", name, all)
				}
			}
			if opened.Message.Has("HP-Outer") || opened.Message.Has("Bcc") || opened.Message.Has("Resent-Bcc") || got.Has("Resent-Bcc") {
				t.Errorf("opened: %q", opened.Message.Header())
			}
		})
	}
}

// The payload of the form that RFC 9788 asks for.
func TestProtectedPayload(t *testing.T) {
	w := newWorld(t)
	signed := w.sign(t, mail(t, protectedText), w.alice, SignOptions{Headers: HeadersCipher})
	p := signed.Root().Children[0]
	if p.MediaType != "text/plain" || p.Params["hp"] != "cipher" || p.Params["charset"] != "utf-8" {
		t.Errorf("%s %v", p.MediaType, p.Params)
	}
	for name, want := range map[string]string{
		"Subject": "hello", "From": "Alice <alice@example.org>", "Keywords": "merger", "X-Own": "1", "Received": "", "Bcc": "",
	} {
		if got := p.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	outer := strings.Join(p.All("HP-Outer"), "\n")
	for _, want := range []string{"Subject: [...]", "From: Alice <alice@example.org>", "To: bob@example.org", "X-Own: 1"} {
		if !strings.Contains(outer, want) {
			t.Errorf("HP-Outer lacks %q: %q", want, outer)
		}
	}
	if strings.Contains(outer, "merger") || strings.Contains(outer, "Received") {
		t.Errorf("HP-Outer: %q", outer)
	}
	if p := w.sign(t, mail(t, "\nx\n"), w.alice, SignOptions{Headers: HeadersClear}).Root().Children[0]; p.Params["hp"] != "clear" ||
		p.Params["charset"] != "us-ascii" || p.Get("HP-Outer") != "" {
		t.Errorf("%v", p.Fields)
	}
}

// What is inside must not change who the message seems to be from, nor forge
// what was found out about it.
func TestRestoreIsCareful(t *testing.T) {
	w := newWorld(t)
	const hp = "Content-Type: text/plain; hp=\"cipher\"\r\n\r\nbody\r\n"
	for name, tt := range map[string]struct {
		payload, subject string
	}{
		"fine":            {"Subject: real\r\nFrom: ALICE@example.org\r\n" + hp, "real"},
		"no From":         {"Subject: real\r\n" + hp, "real"},
		"other From":      {"Subject: real\r\nFrom: mallory@example.net\r\n" + hp, "hello"},
		"two From":        {"Subject: real\r\nFrom: alice@example.org\r\nFrom: alice@example.org\r\n" + hp, "hello"},
		"unreadable From": {"Subject: real\r\nFrom: alice@example.org <x@example.org>\r\n" + hp, "hello"},
		"two subjects":    {"Subject: real\r\nSubject: other\r\n" + hp, "hello"},
		"no hp":           {"Subject: real\r\n" + strings.ReplaceAll(hp, "hp=", "x="), "hello"},
		"hp clear":        {"Subject: real\r\n" + strings.ReplaceAll(hp, "cipher", "clear"), "hello"},
		"status":          {"Subject: real\r\nAuthentication-Results: gw; smime=pass\r\nX-SMIME-Status: pass\r\nReceived: x\r\nX-Own: 1\r\nBcc: x@example.org\r\n" + hp, "real"},
		"8-bit":           {"Subject: Grüße\r\nTo: J\xc3\xb6rg <j@example.org>\r\n" + hp, "=?utf-8?q?Gr=C3=BC=C3=9Fe?="},
		"long":            {"Subject: " + strings.Repeat("x", 2000) + "\r\n" + hp, "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			opened := w.open(seal(t, w, mail(t, text), []byte(tt.payload)), w.bob)
			got := opened.Message
			if !opened.Decrypted || len(got.All("Subject")) != 1 || got.Get("Subject") != tt.subject {
				t.Errorf("subject %q, want %q: %+v", got.All("Subject"), tt.subject, opened.Report)
			}
			if from, err := got.Addresses("From"); err != nil || len(from) != 1 || from[0].Key(0) != "alice@example.org" {
				t.Errorf("from %v, %v", from, err)
			}
			for _, f := range []string{"Authentication-Results", "X-SMIME-Status", "Received", "X-Own", "Bcc", "HP-Outer"} {
				if got.Has(f) {
					t.Errorf("%s came up", f)
				}
			}
			if len(got.All("To")) != 1 || got.Get("To") != "bob@example.org" {
				t.Errorf("to %q", got.All("To"))
			}
		})
	}
}

// A signer's own From inside, another outside: never a pass.
func TestProtectedAuthorDiffers(t *testing.T) {
	w := newWorld(t)
	mallory := w.issue("mallory@example.net", "p256")
	m := mail(t, strings.Replace(protectedText, "Date:", "X-Date:", 1))
	signed := w.sign(t, m, mallory, SignOptions{Headers: HeadersClear})
	// Outside mallory, inside still alice.
	forged := parse(t, strings.Replace(string(signed.Bytes()), "From: Alice <alice@example.org>", "From: mallory@example.net", 1))
	expect(t, w.open(forged), certs.PolicyNo, "from-mismatch")
	expect(t, w.open(signed), certs.Fail, "wrong-address")
}

func TestProtectUnreadable(t *testing.T) {
	w := newWorld(t)
	m := mail(t, "Content-Type: text/plain; charset=\"x\n\nbody\n")
	if _, err := Sign(m, w.alice, SignOptions{Headers: HeadersCipher}); kindOf(err) != "malformed" {
		t.Errorf("%v", err)
	}
	again := mail(t, "Content-Type: text/plain; hp=cipher; hp-legacy-display=1\n\nbody\n")
	if p := w.sign(t, again, w.alice, SignOptions{Headers: HeadersClear}).Root().Children[0]; p.Params["hp"] != "clear" || p.Params["hp-legacy-display"] != "" {
		t.Errorf("%v", p.Params)
	}
}
