package smime

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
	"github.com/smimerelay/smimerelay/test/peer"
)

// peers are the other implementations, each with the keys of the world; gpgsm
// 2.2 cannot import bob's, which is an EC key.
func (w *world) peers(t testing.TB) []peer.Peer {
	alice, bob := (*testpki.Identity)(w.alice), (*testpki.Identity)(w.bob)
	return []peer.Peer{peer.NewOpenSSL(t, w.ca, alice, bob), peer.NewGnuPG(t, w.ca, alice), peer.NewNSS(t, w.ca, alice, bob)}
}

// Each peer verifies what we sign and finds the content that was given.
func TestPeersVerify(t *testing.T) {
	w := newWorld(t)
	for _, p := range w.peers(t) {
		t.Run(p.Name(), func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(samples)) {
				m := mail(t, samples[name])
				forms := []*message.Message{w.sign(t, m, w.alice, SignOptions{})}
				if name == "multipart" {
					forms = append(forms, w.sign(t, m, w.bob, SignOptions{}), w.sign(t, m, w.alice, SignOptions{Opaque: true}),
						w.sign(t, m, w.bob, SignOptions{Opaque: true}))
				}
				for i, signed := range forms {
					out, err := p.Verify(signed.Bytes())
					if err != nil {
						t.Fatalf("%s, form %d: %v", name, i, err)
					}
					sameMeaning(t, parse(t, string(out)).Root(), m.Root())
				}
			}
		})
	}
}

// Each peer decrypts what we encrypt, and finds what we signed in it.
func TestPeersDecrypt(t *testing.T) {
	w := newWorld(t)
	for _, p := range w.peers(t) {
		t.Run(p.Name(), func(t *testing.T) {
			for _, name := range slices.Sorted(maps.Keys(samples)) {
				m := mail(t, samples[name])
				signed := w.sign(t, m, w.alice, SignOptions{})
				out, err := p.Decrypt(encrypt(t, signed, EncryptOptions{}, w.alice).Bytes())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if out, err = p.Verify(out); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				sameMeaning(t, parse(t, string(out)).Root(), m.Root())
			}
		})
	}
}

// withHeader makes a message of an entity.
func withHeader(t testing.TB, entity []byte) *message.Message {
	t.Helper()
	return parse(t, "From: alice@example.org\r\nTo: bob@example.org\r\nDate: Thu, 1 Jan 2026 09:00:00 +0000\r\n"+string(message.Canonical(entity)))
}

// We open what each peer makes.
func TestOpenPeers(t *testing.T) {
	w := newWorld(t)
	const content = "Content-Type: text/plain; charset=utf-8\r\n\r\ngrüße \r\n"
	for _, p := range w.peers(t) {
		t.Run(p.Name(), func(t *testing.T) {
			for _, id := range []*certs.Identity{w.alice, w.bob} {
				if id == w.bob && p.Name() != "OpenSSL" {
					continue // gpgsm and cmsutil do not make everything with EC keys
				}
				signed, err := p.Sign([]byte(content), (*testpki.Identity)(id), peer.Algorithms{})
				if err != nil {
					t.Fatal(err)
				}
				result := certs.Pass
				if id == w.bob {
					result = certs.Fail // From is alice
				}
				if r := w.open(withHeader(t, signed)).Report; r.Result != result || len(r.Signers) != 1 || r.Signers[0].broken {
					t.Errorf("signed: %+v", r)
				}
				encrypted, err := p.Encrypt([]byte(content), (*testpki.Identity)(id), peer.Algorithms{})
				if err != nil {
					t.Fatal(err)
				}
				opened := w.open(withHeader(t, encrypted), w.alice, w.bob)
				if !opened.Decrypted || !strings.HasSuffix(content, string(opened.Message.Body())) {
					t.Errorf("encrypted: %q, %+v", opened.Message.Body(), opened.Report)
				}
				if opened = w.open(withHeader(t, bytes.ReplaceAll(encrypted, []byte("smime-type"), []byte("x"))), id); !opened.Decrypted {
					t.Errorf("without smime-type: %+v", opened.Report)
				}
			}
		})
	}
}
