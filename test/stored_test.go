package test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/test/peer"
	"github.com/smimerelay/smimerelay/test/rig"
)

// stored is a deployment with a store, with what happens beside the gateway.
type stored struct {
	*deployment
	sent int
}

func openStored(t *testing.T) *stored {
	t.Helper()
	d, hop := lateRelay(t)
	d.sink = rig.StartSinkAt(t, hop)
	return &stored{deployment: d}
}

// file writes something for the command line to read.
func (s *stored) file(t *testing.T, name string, content []byte) string {
	t.Helper()
	s.store(t, name, content)
	return filepath.Join(s.dir, name)
}

// outgoing returns mail that nothing else's is like.
func (s *stored) outgoing(t *testing.T, from, to string) mail {
	s.sent++
	m := newMail(t, from, to)
	m.id = fmt.Sprintf("%d.%s", s.sent, m.id)
	return m
}

// TestMarks: a partner's certificate that is blocked is not encrypted to any more,
// within seconds; one below no trust anchor is encrypted to when it is allowed.
func TestMarks(t *testing.T) {
	s := openStored(t)
	stranger := testpki.Must(s.stranger.Issue(testpki.Leaf{Addresses: []string{"paula@encrypt.example"}, Key: "rsa2048"}))
	bob := s.ids["bob@encrypt.example"]
	encrypts := func(to *testpki.Identity, addr string) {
		t.Helper()
		m := s.outgoing(t, alice, addr)
		want(t, s.send(t, m), addr, "accepted")
		got := s.arrived(t, m, addr)
		s.decrypted(t, got.Data, peer.NewOpenSSL(t, s.ca, to), func(inner []byte) { sameContent(t, inner, []byte(m.entity)) })
	}
	refuses := func(addr, why string) {
		t.Helper()
		m := s.outgoing(t, alice, addr)
		outcomes := s.send(t, m)
		want(t, outcomes, addr, "refused")
		if !strings.Contains(outcomes[addr].text, why) {
			t.Errorf("%s: %q does not say %q", addr, outcomes[addr].text, why)
		}
	}
	changes := 0
	mark := func(verb ...string) {
		t.Helper()
		s.gateway.Run(t, append([]string{"cert"}, verb...)...)
		changes++
		s.gateway.WaitLog(t, "certificate store changed; changes applied", changes)
	}

	encrypts(bob, "bob@encrypt.example")
	mark("block", s.file(t, "bob.cer", bob.Certificate.Raw), "--note", "laptop stolen")
	refuses("bob@encrypt.example", "blocked")
	mark("clear", sum(bob))
	encrypts(bob, "bob@encrypt.example")

	refuses("paula@encrypt.example", "")
	mark("allow", s.file(t, "paula.cer", stranger.Certificate.Raw))
	encrypts(stranger, "paula@encrypt.example")
	mark("block", sum(stranger))
	refuses("paula@encrypt.example", "blocked")
	s.testLeaks(t)
}

// sum is the beginning of a fingerprint.
func sum(id *testpki.Identity) string {
	return fmt.Sprintf("%x", sha256.Sum256(id.Certificate.Raw))[:16]
}
