package path

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestAnchorRevocation judges chains by the mode of the anchor that they end at,
// whatever the validator and the request say.
func TestAnchorRevocation(t *testing.T) {
	private := testpki.Must(testpki.NewCA(testpki.Options{Name: "Private"}))
	public := testpki.Must(testpki.NewCA(testpki.Options{Name: "Public"}))
	sub := testpki.Must(private.Intermediate(testpki.Options{Name: "Sub"}))
	ofPrivate, ofSub := testpki.Must(private.Issue(testpki.Leaf{})), testpki.Must(sub.Issue(testpki.Leaf{}))
	ofPublic := testpki.Must(public.Issue(testpki.Leaf{}))
	revoked := testpki.Must(private.Issue(testpki.Leaf{}))
	list := testpki.Must(private.CRL(testpki.CRL{Revoked: []*x509.Certificate{revoked.Certificate}}))
	for _, c := range []struct {
		name                 string
		id                   *testpki.Identity
		anchor, rest, asked  certs.RevocationMode
		want                 certs.Reason
		state                string
		withList, renewedToo bool
	}{
		{name: "off", id: ofPrivate, anchor: certs.RevocationOff, state: "unchecked"},
		{name: "off, below an intermediate", id: ofSub, anchor: certs.RevocationOff, state: "unchecked"},
		{name: "off, a list", id: revoked, anchor: certs.RevocationOff, withList: true, state: "unchecked"},
		{name: "off, and asked to require", id: ofPrivate, anchor: certs.RevocationOff, asked: certs.RevocationRequire, state: "unchecked"},
		{name: "prefer", id: ofPrivate, anchor: certs.RevocationPrefer, state: "unknown"},
		{name: "prefer, revoked", id: revoked, anchor: certs.RevocationPrefer, withList: true, want: certs.Revoked, state: "revoked"},
		{name: "require, else off", id: ofPrivate, anchor: certs.RevocationRequire, rest: certs.RevocationOff, want: certs.NoRevocationInfo, state: "unknown"},
		{name: "require, and asked for off", id: ofPrivate, anchor: certs.RevocationRequire, asked: certs.RevocationOff, want: certs.NoRevocationInfo, state: "unknown"},
		{name: "none of its own", id: ofPrivate, want: certs.NoRevocationInfo, state: "unknown"},
		{name: "none of its own, asked for off", id: ofPrivate, asked: certs.RevocationOff, state: "unchecked"},
		{name: "another anchor", id: ofPublic, anchor: certs.RevocationOff, want: certs.NoRevocationInfo, state: "unknown"},
		{name: "two certificates of one anchor", id: ofPrivate, anchor: certs.RevocationOff, renewedToo: true, state: "unchecked"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{
				Revocation: cmp.Or(c.rest, certs.RevocationRequire), Intermediates: []*x509.Certificate{sub.Certificate},
				AnchorRevocation: map[[sha256.Size]byte]certs.RevocationMode{sha256.Sum256(private.Root.Raw): c.anchor},
			}
			if c.withList {
				cfg.CRLs = [][]byte{list}
			}
			anchors := []*testpki.CA{private, public}
			if c.renewedToo {
				anchors = []*testpki.CA{renewed(t, private), private}
			}
			got := newValidator(t, cfg, anchors...).Check(t.Context(), c.id.Certificate, certs.Request{Purpose: certs.ForSigning, Revocation: c.asked})
			if got.Reason != c.want || got.Result != c.want.Result() || got.Revocation != c.state {
				t.Errorf("%s %q, revocation %s: %s", got.Result, got.Reason, got.Revocation, got.Detail)
			}
		})
	}
	if _, err := NewValidator(Config{AnchorRevocation: map[[sha256.Size]byte]certs.RevocationMode{{}: "perhaps"}}); err == nil {
		t.Error("an unknown mode of an anchor was taken")
	}
}

// renewed returns an authority with the key of ca and another certificate.
func renewed(t *testing.T, ca *testpki.CA) *testpki.CA {
	t.Helper()
	tmpl := *ca.Root
	tmpl.SerialNumber, tmpl.NotAfter = big.NewInt(99), ca.Root.NotAfter.Add(time.Hour)
	der := testpki.Must(x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, ca.Root.PublicKey, ca.Key))
	again := *ca
	again.Root = testpki.Must(x509.ParseCertificate(der))
	return &again
}

// TestNoRevocationInformation tells what can never be known from what is not
// known now.
func TestNoRevocationInformation(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	silent := testpki.Must(root.Intermediate(testpki.Options{Name: "Silent"}))
	listed := testpki.Must(root.Intermediate(testpki.Options{Name: "Listed", CRLs: []string{"http://x.org/root"}}))
	past := testpki.CRL{ThisUpdate: time.Now().Add(-48 * time.Hour), NextUpdate: time.Now().Add(-24 * time.Hour)}
	stale, current := testpki.Must(root.CRL(past)), testpki.Must(root.CRL(testpki.CRL{}))
	points := testpki.Leaf{CRLs: []string{"http://x.org/list"}}
	issue := func(ca *testpki.CA, l testpki.Leaf) *testpki.Identity { return testpki.Must(ca.Issue(l)) }
	for _, c := range []struct {
		name            string
		id              *testpki.Identity
		crls, inMessage [][]byte
		want            certs.Reason
	}{
		{"nothing", issue(root, testpki.Leaf{}), nil, nil, certs.NoRevocationInfo},
		{"a list", issue(root, points), nil, nil, certs.RevocationUnknown},
		{"a list in a directory", issue(root, testpki.Leaf{CRLs: []string{"ldap://x.org/cn=list"}}), nil, nil, certs.RevocationUnknown},
		{"a responder", issue(root, testpki.Leaf{OCSP: []string{"http://x.org/"}}), nil, nil, certs.RevocationUnknown},
		{"an intermediate names nothing", issue(silent, points), nil, nil, certs.NoRevocationInfo},
		{"only an intermediate names one", issue(listed, testpki.Leaf{}), nil, nil, certs.NoRevocationInfo},
		{"all name one", issue(listed, points), nil, nil, certs.RevocationUnknown},
		{"configured", issue(root, testpki.Leaf{}), [][]byte{current}, nil, ""},
		{"configured, and has ended", issue(root, testpki.Leaf{}), [][]byte{stale}, nil, certs.RevocationUnknown},
		{"configured for the authority above", issue(silent, testpki.Leaf{}), [][]byte{current}, nil, certs.NoRevocationInfo},
		{"one that has ended in the message", issue(root, testpki.Leaf{}), nil, [][]byte{stale}, certs.NoRevocationInfo},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newValidator(t, Config{Revocation: certs.RevocationRequire, CRLs: c.crls}, root)
			got := v.Check(t.Context(), c.id.Certificate, certs.Request{Purpose: certs.ForSigning, Intermediates: c.id.Chain, CRLs: c.inMessage})
			if got.Reason != c.want || got.Result != c.want.Result() {
				t.Errorf("%s %q: %s", got.Result, got.Reason, got.Detail)
			}
			if c.want == certs.NoRevocationInfo && !(strings.Contains(got.Detail, "[[trust.anchor]]") && strings.Contains(got.Detail, "trust.crls")) {
				t.Errorf("no remedy in %q", got.Detail)
			}
		})
	}
}

// TestUninformed names the authorities below which nothing can pass.
func TestUninformed(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	silent := testpki.Must(root.Intermediate(testpki.Options{Name: "Silent"}))
	listed := testpki.Must(root.Intermediate(testpki.Options{Name: "Listed", CRLs: []string{"http://x.org/root"}}))
	both := []*x509.Certificate{silent.Certificate, listed.Certificate}
	off := map[[sha256.Size]byte]certs.RevocationMode{sha256.Sum256(root.Root.Raw): certs.RevocationOff}
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"nothing is asked": {Config{Revocation: certs.RevocationRequire, Intermediates: both}, "Root Silent"},
		"a list":           {Config{Revocation: certs.RevocationRequire, Intermediates: both, CRLs: [][]byte{testpki.Must(root.CRL(testpki.CRL{}))}}, ""},
		"off":              {Config{Revocation: certs.RevocationRequire, Intermediates: both, AnchorRevocation: off}, ""},
		"prefer":           {Config{Revocation: certs.RevocationPrefer, Intermediates: both}, ""},
	} {
		var names []string
		for _, found := range newValidator(t, c.cfg, root).Uninformed() {
			names = append(names, found.Subject.CommonName)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
