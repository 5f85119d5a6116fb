package directory

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestWholeWay has a real server, a real validator, and a sender who learns why.
func TestWholeWay(t *testing.T) {
	t.Parallel()
	root := testpki.Must(testpki.NewCA(testpki.Options{Name: "Root"}))
	sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub"}))
	stranger := testpki.Must(testpki.NewCA(testpki.Options{Name: "Stranger"}))
	good := testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{"good@example.net"}})).Certificate
	ended := time.Now().Add(-24 * time.Hour)
	s := slapdtest.Start(t, slapdtest.Config{})
	put := func(address string, ca *testpki.CA, l testpki.Leaf) {
		if l.Addresses == nil {
			l.Addresses = []string{address}
		}
		s.AddPerson(t, address, testpki.Must(ca.Issue(l)).Certificate)
	}
	s.Set(t, s.AddPerson(t, "good@example.net"), "userSMIMECertificate", bundle(t, good, sub.Certificate))
	put("expired@example.net", root, testpki.Leaf{NotBefore: ended.Add(-time.Hour), NotAfter: ended})
	put("early@example.net", root, testpki.Leaf{NotBefore: time.Now().Add(time.Hour)})
	put("other@example.net", root, testpki.Leaf{Addresses: []string{"another@example.net"}})
	put("signs@example.net", root, testpki.Leaf{Key: "rsa2048", KeyUsage: x509.KeyUsageDigitalSignature})
	put("stranger@example.net", stranger, testpki.Leaf{})
	put("chainless@example.net", sub, testpki.Leaf{})
	s.AddPerson(t, "none@example.net")
	validator, err := path.NewValidator(path.Config{
		Anchors: []*x509.Certificate{root.Certificate}, Revocation: certs.RevocationOff,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := openLDAP(t, LDAPConfig{Name: "corp", URLs: []string{s.URL()}})
	d := open(t, Config{Sources: sources(l), Checker: validator})
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	for local, want := range map[string]string{
		"good":      "",
		"expired":   "expired " + day(ended),
		"early":     "not valid before " + day(time.Now().Add(time.Hour)),
		"other":     `issued for "another@example.net", not for "other@example.net"`,
		"signs":     "not for encryption",
		"stranger":  "not issued by a trusted authority",
		"chainless": "not issued by a trusted authority",
		"none":      "no certificate found in ldap:corp",
		"absent":    "no certificate found in ldap:corp",
	} {
		r := d.Lookup(t.Context(), addr(t, local+"@example.net"))
		if got := r.Reason(); got != want || (r.Outcome == Usable) != (want == "") {
			t.Errorf("%s: %s, %q, want %q; %+v", local, r.Outcome, got, want, r.Candidates)
		}
	}
	s.Stop(t)
	r := d.Lookup(t.Context(), addr(t, "later@example.net"))
	if got := r.Reason(); r.Outcome != Unknown || got != "ldap:corp is unavailable" {
		t.Errorf("server down: %s, %q", r.Outcome, got)
	}
	if r := d.Lookup(t.Context(), addr(t, "good@example.net")); r.Outcome != Usable {
		t.Errorf("server down, remembered: %+v", r)
	}
}
