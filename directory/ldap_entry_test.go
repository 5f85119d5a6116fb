package directory

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"go.mozilla.org/pkcs7"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

var loopback = []net.IP{net.IPv4(127, 0, 0, 1)}

// bundle makes a certs-only PKCS #7.
func bundle(tb testing.TB, list ...*x509.Certificate) string {
	tb.Helper()
	var der []byte
	for _, c := range list {
		der = append(der, c.Raw...)
	}
	b, err := pkcs7.DegenerateCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestLDAPReadsEveryAttribute(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	smime, binary := issue(t, bob, 0), issue(t, bob, 0)
	dn := s.AddPerson(t, bob, binary)
	s.Set(t, dn, "userSMIMECertificate", bundle(t, smime, testCA().Certificate))
	want(t, openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}), bob, smime, testCA().Certificate, binary)
	for _, spelling := range []string{"userCertificate", "USERCERTIFICATE;BINARY", "userCertificate;binary"} {
		want(t, openLDAP(t, LDAPConfig{URLs: []string{s.URL()}, Attributes: []string{spelling}}), bob, binary)
	}
}

func TestLDAPLeavesOutWhatIsNotTheOwner(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	user, contact, disabled := issue(t, bob, 0), issue(t, bob, 0), issue(t, bob, 0)
	add := func(name, class, control string, cert *x509.Certificate) string {
		attributes := slapdtest.Attributes{
			"objectClass": {class}, "cn": {name}, "mail": {bob},
		}
		if class != "group" {
			attributes["sn"] = []string{name}
		}
		if control != "" {
			attributes["userAccountControl"] = []string{control}
		}
		if cert != nil {
			attributes["userCertificate;binary"] = []string{string(cert.Raw)}
		}
		dn := "cn=" + name + "," + slapdtest.People
		s.Add(t, dn, attributes)
		return dn
	}
	l := openLDAP(t, LDAPConfig{URLs: []string{s.URL()}})
	add("Group", "group", "", nil)
	add("Contact", "contact", "", contact)
	add("Disabled", "user", "514", disabled)
	want(t, l, bob, contact)
	dn := add("User", "user", "512", user)
	f := want(t, l, bob, user)
	if len(f.Notes) != 3 {
		t.Errorf("notes %q", f.Notes)
	}
	add("Second", "user", "", contact)
	f = want(t, l, bob, user, contact)
	if last := f.Notes[len(f.Notes)-1]; !strings.Contains(last, "several entries") || !strings.Contains(last, dn) {
		t.Errorf("ambiguity not reported: %q", f.Notes)
	}
}

func TestLDAPLimitsWhatOneAddressMayHave(t *testing.T) {
	t.Parallel()
	s := slapdtest.Start(t, slapdtest.Config{})
	var all []*x509.Certificate
	for i := range 30 {
		all = append(all, issue(t, bob, time.Duration(i)*time.Hour))
	}
	dn := s.AddPerson(t, bob, all...)
	huge := testpki.Must(testCA().Issue(testpki.Leaf{
		Addresses: []string{bob},
		Edit: func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{
				Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1}, Value: make([]byte, maxValue),
			})
		},
	}))
	s.Set(t, dn, "userSMIMECertificate", string(huge.Certificate.Raw), "garbage")
	d := open(t, Config{Sources: sources(openLDAP(t, LDAPConfig{URLs: []string{s.URL()}}))})
	r := d.Lookup(t.Context(), addr(t, bob))
	if !slices.EqualFunc(r.Certificates, all[:maxCertificates], (*x509.Certificate).Equal) || len(r.Candidates) != maxCertificates {
		t.Errorf("%d certificates", len(r.Certificates))
	}
	notes := strings.Join(r.Answers[0].Notes, "\n")
	for _, part := range []string{"octets ignored", "value of usersmimecertificate ignored", "30 certificates, only the newest 20"} {
		if !strings.Contains(notes, part) {
			t.Errorf("no note %q in %q", part, notes)
		}
	}
}

// TestEntriesOfStrangersAreBounded: what is kept of an answer does not grow with what the
// server sends.
func TestEntriesOfStrangersAreBounded(t *testing.T) {
	t.Parallel()
	e := &ldap.Entry{DN: "cn=" + strings.Repeat("x", 1<<20)}
	a := &ldap.EntryAttribute{Name: "userCertificate;binary"}
	for range 20_000 {
		a.ByteValues, a.Values = append(a.ByteValues, []byte{1}), append(a.Values, "\x01")
	}
	e.Attributes = []*ldap.EntryAttribute{a}
	f := readEntries([]string{"usercertificate"}, []*ldap.Entry{e, e})
	size := 0
	for _, n := range f.Notes {
		size += len(n)
	}
	if len(f.Notes) == 0 || len(f.Notes) > maxNotes || size > 2*maxNotes*maxDN {
		t.Errorf("%d notes, %d octets", len(f.Notes), size)
	}
}
