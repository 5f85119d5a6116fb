package directory

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// validator trusts ca's root and does not ask about revocation.
func validator(tb testing.TB, ca *testpki.CA) certs.Checker {
	tb.Helper()
	return testpki.Must(path.NewValidator(path.Config{
		Anchors: []*x509.Certificate{ca.Root}, Revocation: certs.RevocationOff,
	}))
}

// TestLaterSourceMayHaveTheChain: what an earlier source had without its issuers
// is judged again when a later one brings them.
func TestLaterSourceMayHaveTheChain(t *testing.T) {
	t.Parallel()
	ca := testpki.Must(testCA().Intermediate(testpki.Options{Name: "Between"}))
	leaf := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{bob}})).Certificate
	bare := &fakeSource{name: "bare", list: []*x509.Certificate{leaf}}
	again := &fakeSource{name: "again", list: []*x509.Certificate{leaf}}
	whole := &fakeSource{name: "whole", list: []*x509.Certificate{leaf, ca.Certificate}}
	d := open(t, Config{Sources: sources(bare, again, whole), Checker: validator(t, testCA())})
	r := d.Lookup(t.Context(), addr(t, bob))
	if r.Outcome != Usable || len(r.Candidates) != 2 || r.Candidates[0].Verdict.Reason != certs.Untrusted || r.Candidates[1].Source != "whole" {
		t.Errorf("%s: %+v", r.Outcome, r.Candidates)
	}
	d = open(t, Config{Sources: sources(bare, again), Checker: validator(t, testCA())})
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != None || len(r.Candidates) != 1 {
		t.Errorf("without the chain: %s, %+v", r.Outcome, r.Candidates)
	}
}

// TestSelfMadeAuthorityIsACandidate: many tools make such a certificate for a
// person; the verdict must be shown.
func TestSelfMadeAuthorityIsACandidate(t *testing.T) {
	t.Parallel()
	own := testpki.Must(testpki.NewCA(testpki.Options{Edit: func(c *x509.Certificate) { c.EmailAddresses = []string{bob} }})).Certificate
	for _, checker := range []*fakeChecker{{}, {verdicts: map[string]certs.Verdict{string(own.Raw): {Result: certs.Fail, Reason: certs.Untrusted}}}} {
		d := open(t, Config{Sources: sources(&fakeSource{name: "s", list: []*x509.Certificate{own, testCA().Certificate}}), Checker: checker})
		r := d.Lookup(t.Context(), addr(t, bob))
		if len(r.Candidates) != 1 || !r.Candidates[0].Certificate.Equal(own) || (r.Outcome == Usable) != (len(checker.verdicts) == 0) {
			t.Errorf("%s: %+v", r.Outcome, r.Candidates)
		}
	}
}

func TestEverySourceIsLimited(t *testing.T) {
	t.Parallel()
	var list []*x509.Certificate
	for i := range 30 {
		list = append(list, issue(t, bob, time.Duration(i)*time.Hour))
	}
	huge := *issue(t, bob, 0)
	huge.Raw = append(slices.Clone(huge.Raw), make([]byte, maxValue)...)
	list = append(list, list[0], &huge)
	checker := &fakeChecker{}
	d := open(t, Config{Sources: sources(&fakeSource{name: "s", list: list}), Checker: checker})
	r := d.Lookup(t.Context(), addr(t, bob))
	if len(checker.requests) != maxCertificates || len(r.Certificates) != maxCertificates || !r.Certificates[0].Equal(list[0]) {
		t.Errorf("%d judged, %d usable", len(checker.requests), len(r.Certificates))
	}
	if notes := strings.Join(r.Answers[0].Notes, "; "); !strings.Contains(notes, "newest 20") || !strings.Contains(notes, "ignored") {
		t.Errorf("notes %q", notes)
	}
}

// TestWhatMayServeIsNotCrowdedOut: a company publishes certificates for everything.
func TestWhatMayServeIsNotCrowdedOut(t *testing.T) {
	t.Parallel()
	serving := issue(t, bob, 48*time.Hour)
	list := []*x509.Certificate{serving}
	for range 2 * maxCertificates {
		list = append(list, testpki.Must(testCA().Issue(testpki.Leaf{Addresses: []string{bob}, KeyUsage: x509.KeyUsageDigitalSignature})).Certificate)
	}
	d := open(t, Config{Sources: sources(&fakeSource{name: "s", list: list}), Checker: validator(t, testCA())})
	if r := d.Lookup(t.Context(), addr(t, bob)); r.Outcome != Usable || !r.Certificates[0].Equal(serving) || len(r.Candidates) != maxCertificates {
		t.Errorf("%s of %d candidates", r.Outcome, len(r.Candidates))
	}
}

// known are Capabilities from a map.
type known struct {
	ciphers map[[sha256.Size]byte][]cms.Cipher
	err     error
	asked   int
}

func (k *known) Ciphers(_ context.Context, fingerprints ...[sha256.Size]byte) (map[[sha256.Size]byte][]cms.Cipher, error) {
	k.asked += len(fingerprints)
	return k.ciphers, k.err
}

// TestMailTellsBeforeTheDirectory: what an owner's mail said counts for their
// certificate wherever it was found, and only for a usable one.
func TestMailTellsBeforeTheDirectory(t *testing.T) {
	t.Parallel()
	heard, silent, refused := issue(t, bob, 0), issue(t, bob, time.Hour), issue(t, bob, 2*time.Hour)
	claim := []cms.Cipher{cms.AES128CBC}
	said := []cms.Cipher{cms.AES256GCM}
	source := finder{Finding: Finding{
		Certificates: []*x509.Certificate{heard, silent, refused},
		Claims:       []Claim{{Signer: heard, Ciphers: claim}, {Signer: silent, Ciphers: claim}},
	}}
	checker := &fakeChecker{}
	checker.refuse(refused, certs.Fail, certs.Revoked)
	k := &known{ciphers: map[[sha256.Size]byte][]cms.Cipher{sha256.Sum256(heard.Raw): said, sha256.Sum256(refused.Raw): said}}
	for _, err := range []error{nil, errors.New("the store is down")} {
		k.err, k.asked = err, 0
		r := open(t, Config{Sources: sources(source), Checker: checker, Capabilities: k}).Lookup(t.Context(), addr(t, bob))
		want := [][]cms.Cipher{said, claim, nil}
		if err != nil {
			want[0] = claim
		}
		for i, c := range r.Candidates {
			if !slices.Equal(c.Ciphers, want[i]) {
				t.Errorf("error %v, candidate %d: %v, want %v", err, i, c.Ciphers, want[i])
			}
		}
		if r.Outcome != Usable || k.asked != 2 {
			t.Errorf("error %v: %s, %d asked", err, r.Outcome, k.asked)
		}
	}
}
