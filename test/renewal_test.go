package test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/peer"
)

// renee's identities are in the store, imported while the gateway serves.
const renee = "renee@corp.example"

// signs sends mail from renee and wants it signed with an identity.
func (s *stored) signs(t *testing.T, id *testpki.Identity) {
	t.Helper()
	m := s.outgoing(t, renee, "bob@sign.example")
	want(t, s.send(t, m), m.to[0], "accepted")
	got := s.arrived(t, m, m.to[0])
	s.verified(t, got.Data, m, s.openssl)
	parsed, err := message.Parse(got.Data)
	if err != nil || len(parsed.Root().Children) != 2 {
		t.Fatalf("not multipart/signed: %v\n%s", err, got.Data)
	}
	signature, err := parsed.Root().Children[1].Decode()
	if err != nil || !bytes.Contains(signature, id.Certificate.Raw) {
		t.Errorf("not signed with the certificate of %s (%v):\n%s", id.Certificate.Subject, err, got.Data)
	}
}

// opens has a partner encrypt to an identity, and reports whether it arrives in
// the clear.
func (s *stored) opens(t *testing.T, id *testpki.Identity) bool {
	t.Helper()
	encrypted, err := peer.NewOpenSSL(t, s.ca, id).Encrypt([]byte(inboundText), id, peer.Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	m := s.outgoing(t, partner, renee)
	m.entity = string(encrypted)
	want(t, s.receive(t, m), renee, "accepted")
	return bytes.Contains(s.arrived(t, m, renee).Data, []byte("hello from outside"))
}

// TestRenewal: a new identity signs at once, the old one goes on to open mail
// until it is removed, and the last one is not removed by mistake.
func TestRenewal(t *testing.T) {
	s := openStored(t)
	imports := func(id *testpki.Identity, name string) {
		t.Helper()
		s.gateway.Run(t, "cert", "import", s.file(t, name, testpki.Must(id.PEM())))
	}
	before := time.Now().Add(-30 * 24 * time.Hour)
	first := testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: []string{renee}, Key: "rsa2048", Name: "the first", NotBefore: before}))
	second := testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: []string{renee}, Name: "the second"}))

	m := s.outgoing(t, renee, "bob@sign.example")
	want(t, s.send(t, m), m.to[0], "deferred")
	imports(first, "first.pem")
	// The first import made the key file too: that takes effect within seconds.
	s.gateway.WaitLog(t, "certificate store changed; changes applied", 1)
	s.signs(t, first)
	if !s.opens(t, first) {
		t.Error("the first does not decrypt")
	}

	imports(second, "second.pem")
	s.signs(t, second)
	for _, id := range []*testpki.Identity{first, second} {
		if !s.opens(t, id) {
			t.Errorf("%s does not decrypt in the overlap", id.Certificate.Subject)
		}
	}
	s.gateway.Run(t, "cert", "pin", sum(first))
	s.signs(t, first)
	s.gateway.Run(t, "cert", "unpin", sum(first))
	s.signs(t, second)

	s.gateway.Run(t, "cert", "remove", sum(first))
	if s.opens(t, first) {
		t.Error("it decrypts with a key that was removed")
	}
	if !s.opens(t, second) {
		t.Error("the second does not decrypt any more")
	}
	s.signs(t, second)
	if out := s.gateway.RunFails(t, 1, "cert", "remove", sum(second)); !strings.Contains(out, "--force") {
		t.Errorf("the last key: %s", out)
	}
	s.signs(t, second)
}
