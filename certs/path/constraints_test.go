package path

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// constraint encodes a NameConstraints with one subtree: field 0 permits and 1
// excludes, tag is that of the GeneralName.
func constraint(field uint8, tag cryptobyte_asn1.Tag, value []byte) func(*x509.Certificate) {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cryptobyte_asn1.Tag(field).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(value) })
			})
		})
	})
	der := b.BytesOrPanic()
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidNameConstraints, Critical: true, Value: der})
	}
}

func TestNameConstraints(t *testing.T) {
	root := testpki.Must(testpki.NewCA(testpki.Options{}))
	mail := func(s string) []byte { return []byte(s) }
	const permit, exclude = 0, 1
	tag := func(n uint8) cryptobyte_asn1.Tag { return cryptobyte_asn1.Tag(n).ContextSpecific() }
	directory := func(n pkix.Name) []byte { return testpki.Must(asn1Name(n)) }
	to := func(addresses ...string) testpki.Leaf { return testpki.Leaf{Name: "x", Addresses: addresses} }
	subject := func(n pkix.Name) testpki.Leaf {
		return testpki.Leaf{Edit: func(c *x509.Certificate) { c.Subject = n }}
	}
	org := pkix.Name{Organization: []string{"Example"}}
	for _, c := range []struct {
		name string
		edit func(*x509.Certificate)
		leaf testpki.Leaf
		good bool
	}{
		{"host", constraint(permit, tag(1), mail("x.org")), to("a@X.org"), true},
		{"host, not below", constraint(permit, tag(1), mail("x.org")), to("a@sub.x.org"), false},
		{"below", constraint(permit, tag(1), mail(".x.org")), to("a@sub.x.org"), true},
		{"below, not itself", constraint(permit, tag(1), mail(".x.org")), to("a@x.org"), false},
		{"no suffix by chance", constraint(permit, tag(1), mail(".x.org")), to("a@evilx.org"), false},
		{"one of two outside", constraint(permit, tag(1), mail("x.org")), to("a@x.org", "a@y.org"), false},
		{"mailbox", constraint(permit, tag(1), mail("a@x.org")), to("a@x.org"), true},
		{"other mailbox", constraint(permit, tag(1), mail("a@x.org")), to("b@x.org"), false},
		{"excluded", constraint(exclude, tag(1), mail("x.org")), to("a@x.org"), false},
		{"not excluded", constraint(exclude, tag(1), mail("x.org")), to("a@y.org"), true},
		{"excluded, utf-8 mailbox", constraint(exclude, tag(1), mail("x.org")), to("grå@x.org"), false},
		{"utf-8 mailbox inside", constraint(permit, tag(1), mail("x.org")), to("grå@x.org"), true},
		{"utf-8 mailbox outside", constraint(permit, tag(1), mail("x.org")), to("grå@y.org"), false},
		{"in the subject", constraint(permit, tag(1), mail("x.org")), testpki.Leaf{Name: "x", SubjectEmail: "a@y.org"}, false},
		{"in the subject, inside", constraint(permit, tag(1), mail("x.org")), testpki.Leaf{Name: "x", SubjectEmail: "a@x.org"}, true},
		{"a blank", constraint(permit, tag(1), mail("x.org")), to("a@y.org@x.org"), false},
		{"unreadable, excluded kind", constraint(exclude, tag(1), mail("x.org")), to("a@x.org "), false},
		{"no mailbox", constraint(permit, tag(1), mail("x.org")), to(), true},
		{"directory", constraint(permit, tag(4).Constructed(), directory(org)), subject(pkix.Name{Organization: []string{"EXAMPLE"}, CommonName: "a"}), true},
		{"other directory", constraint(permit, tag(4).Constructed(), directory(org)), subject(pkix.Name{Organization: []string{"Other"}, CommonName: "a"}), false},
		{"directory excluded", constraint(exclude, tag(4).Constructed(), directory(org)), subject(pkix.Name{Organization: []string{"Example"}}), false},
		{"host name", constraint(permit, tag(2), mail("x.org")), testpki.Leaf{Edit: func(c *x509.Certificate) { c.DNSNames = []string{"a.x.org", "x.org"} }}, true},
		{"other host name", constraint(permit, tag(2), mail("x.org")), testpki.Leaf{Edit: func(c *x509.Certificate) { c.DNSNames = []string{"a.y.org"} }}, false},
		{"address", constraint(permit, tag(7), []byte{10, 0, 0, 0, 255, 0, 0, 0}), testpki.Leaf{Edit: func(c *x509.Certificate) { c.IPAddresses = []net.IP{{10, 1, 2, 3}} }}, true},
		{"other address", constraint(permit, tag(7), []byte{10, 0, 0, 0, 255, 0, 0, 0}), testpki.Leaf{Edit: func(c *x509.Certificate) { c.IPAddresses = []net.IP{{11, 1, 2, 3}} }}, false},
		{"uri", constraint(permit, tag(6), mail(".x.org")), testpki.Leaf{Edit: func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "http", Host: "a.x.org"}} }}, true},
		{"other uri", constraint(permit, tag(6), mail(".x.org")), testpki.Leaf{Edit: func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "http", Host: "x.org.evil.example"}} }}, false},
		{"an unknown kind", constraint(permit, tag(8), []byte{1, 2, 3}), to("a@x.org"), true},
	} {
		sub := testpki.Must(root.Intermediate(testpki.Options{Name: "Sub", Edit: c.edit}))
		id := testpki.Must(sub.Issue(c.leaf))
		v := newValidator(t, Config{Intermediates: id.Chain}, root)
		got := v.Check(t.Context(), id.Certificate, certs.Request{Purpose: certs.ForSigning})
		want := certs.Reason("")
		if !c.good {
			want = certs.NameConstraint
		}
		if got.Reason != want {
			t.Errorf("%s: %q: %s; want %q", c.name, got.Reason, got.Detail, want)
		}
	}
}

func asn1Name(n pkix.Name) ([]byte, error) {
	ca, err := testpki.NewCA(testpki.Options{Subject: &n})
	if err != nil {
		return nil, err
	}
	return ca.Root.RawSubject, nil
}
