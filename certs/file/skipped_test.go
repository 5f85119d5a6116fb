package file

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// unreadable is a certificate whose dates are in a form that none may have.
func unreadable(t *testing.T, c *x509.Certificate) []byte {
	t.Helper()
	i := bytes.Index(c.Raw, []byte{0x17, 0x0d})
	if i < 0 {
		t.Fatal("no date")
	}
	bad := bytes.Clone(c.Raw)
	bad[i+2] = 'x'
	return bad
}

func pemOf(kind string, ders ...[]byte) []byte {
	var b bytes.Buffer
	for _, der := range ders {
		_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der})
	}
	return b.Bytes()
}

// One certificate that cannot be read is named with its place, and costs none of
// the others, whatever the form of the file.
func TestOneOddCertificateSpoilsNoFile(t *testing.T) {
	a := testpki.Must(testpki.NewCA(testpki.Options{Name: "A"})).Root
	b := testpki.Must(testpki.NewCA(testpki.Options{Name: "B"})).Root
	bad := unreadable(t, a)
	odd := &x509.Certificate{Raw: bad}
	dir := t.TempDir()
	p7 := cms.CertsOnly([]*x509.Certificate{a, odd, b}, nil).Bytes()
	at := 2
	for name, data := range map[string][]byte{
		"pem.pem": pemOf("CERTIFICATE", a.Raw, bad, b.Raw), "p7b.p7b": p7, "p7.pem": pemOf("PKCS7", p7),
		"sst.sst": serializedStore(a.Raw, bad, b.Raw),
	} {
		path := write(t, 0o644, data, dir, name)
		list, err := ReadCertificates(path)
		skipped, other := Skipped(err)
		if len(list) != 2 || other != nil || len(skipped) != 1 || skipped[0].File != path {
			t.Errorf("%s: %d certificates, skipped %v, %v", name, len(list), skipped, other)
			continue
		}
		if n := skipped[0].Number; n != at && !strings.HasPrefix(name, "p7") { // a SET has an order of its own
			t.Errorf("%s: the place is %d", name, n)
		}
		if text := skipped[0].Error(); !strings.Contains(text, filepath.Base(path)) || !strings.Contains(text, "is skipped") || !strings.Contains(text, "validity") {
			t.Errorf("%s: %s", name, text)
		}
		c, err := ParseContents(data, "")
		if err != nil || len(c.Certificates) != 2 || len(c.Skipped) != 1 {
			t.Errorf("%s: contents %+v, %v", name, c, err)
		}
	}
	only := write(t, 0o644, pemOf("CERTIFICATE", bad), dir, "only.pem")
	if list, err := ReadCertificates(only); len(list) > 0 || err == nil || !strings.Contains(err.Error(), "validity") {
		t.Errorf("nothing but an odd one: %v", err)
	}
	if skipped, other := Skipped(nil); skipped != nil || other != nil {
		t.Error("nothing skipped is something")
	}
}

// The odd certificate of a PKCS #12 or PEM identity costs neither the key nor the
// rest; where it is the key's own, the error says so.
func TestOddCertificateBesideAKey(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@example.org"}}))
	bad := pemOf("CERTIFICATE", unreadable(t, ca.Root))
	data := append(testpki.Must(id.PEM()), bad...)
	c, err := ParseContents(data, "")
	if err != nil || len(c.Identities) != 1 || len(c.Skipped) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	own := &testpki.Identity{Certificate: &x509.Certificate{Raw: unreadable(t, id.Certificate)}, Key: id.Key}
	if _, err := ParseContents(testpki.Must(own.PEM()), ""); err == nil || !strings.Contains(err.Error(), "is skipped") {
		t.Errorf("its own certificate: %v", err)
	}
	p := newTools(t)
	p.write("id.pem", testpki.Must(id.PEM()))
	p.write("odd.pem", bad)
	p.run("openssl", "pkcs12", "-export", "-in", "id.pem", "-certfile", "odd.pem", "-out", "out.p12", "-passout", "pass:long enough")
	c, err = ReadContents(filepath.Join(p.dir, "out.p12"), "long enough")
	if err != nil || len(c.Identities) != 1 || len(c.Skipped) != 1 {
		t.Errorf("PKCS #12: %+v, %v", c, err)
	}
}
