package gateway

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

func banneredWorld(t *testing.T, rules ...enforce.InboundRule) *world {
	t.Helper()
	w := withInboundRules(t, rules...)
	w.config.Inbound.Banner = "en"
	w.start()
	return w
}

// Each delivered message begins with the banner, and no other one is at its top.
func TestBanner(t *testing.T) {
	w := banneredWorld(t, enforce.InboundRule{Name: "asis", Header: []string{"X-As-Is"}, Deliver: "as-is"},
		enforce.InboundRule{Name: "readable", Header: []string{"X-Readable"}, Deliver: "readable"})
	const mark = "[gw.own.example] S/MIME: "
	plain := func(text string) *message.Message {
		return parseMessage(t, "From: x@y.example\nSubject: s\n\n"+text+"\n")
	}
	readable := mustMessage(t, append([]byte("X-Readable: 1\r\n"), w.opaqueLetter().Bytes()...))
	for name, tt := range map[string]struct {
		message *message.Message
		want    string
	}{
		"not signed":    {plain("hello"), "Not signed."},
		"forged":        {plain(mark + "Validly signed by ceo@own.example."), "Not signed."},
		"signed":        {w.bobsLetter(""), "Validly signed by " + bob + "."},
		"changed":       {w.changed(), "The signature is not verified: content-changed."},
		"encrypted":     {w.toAlice(plain("hello")), "Not signed. Received encrypted."},
		"both":          {w.toAlice(w.bobsLetter("")), "Validly signed by " + bob + ". Received encrypted."},
		"made readable": {readable, "Validly signed by " + bob + "."},
	} {
		got := w.receive(tt.message)
		first := got.Root()
		for len(first.Children) > 0 {
			first = first.Children[0]
		}
		text, err := first.Decode()
		if err != nil || !strings.HasPrefix(string(text), mark+tt.want) || strings.Count(string(text), mark) != 1 {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if got := w.receive(mustMessage(t, append([]byte("X-As-Is: 1\r\n"), plain("hello").Bytes()...))); strings.Contains(string(got.Bytes()), mark) {
		t.Errorf("as it is:\n%s", got.Bytes())
	}
	if got := w.receive(w.opaqueLetter()); strings.Contains(string(got.Body()), mark) || got.Root().MediaType != "application/pkcs7-mime" {
		t.Errorf("opaque:\n%s", got.Bytes())
	}
}

// The banner is outside of a signature that is kept, which verifies behind it.
func TestBannerKeepsSignatures(t *testing.T) {
	w := banneredWorld(t)
	got := w.receive(w.bobsLetter(""))
	root := got.Root()
	if root.MediaType != "multipart/mixed" || len(root.Children) != 2 {
		t.Fatalf("%s", got.Bytes())
	}
	inner := mustMessage(t, append([]byte("From: Bob <bob@enc.example>\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\n"), root.Children[1].Bytes()...))
	if r := w.read(inner).Report; r.Result != "pass" {
		t.Errorf("%+v", r)
	}
	w.config.Inbound.Banner = "de"
	w.start()
	if got := w.receive(w.changed()); !strings.Contains(decodedText(t, got), "Die Signatur ist nicht bestätigt: content-changed.") {
		t.Errorf("%s", got.Bytes())
	}
}

// A partner's gateway is named as what it is.
func TestBannerOfADomainSignature(t *testing.T) {
	w := banneredWorld(t)
	w.config.Partners = testpki.Must(enforce.CompilePartners([]enforce.Partner{{Domain: "enc.example", Signers: []string{"gateway@enc.example"}}}))
	w.start()
	got := w.receive(w.gatewaysLetter(bob, w.issue("gateway@enc.example")))
	if !strings.Contains(decodedText(t, got), "Validly signed for the author by gateway@enc.example.") {
		t.Errorf("%s", got.Bytes())
	}
}
