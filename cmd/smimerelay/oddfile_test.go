package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// A certificate that cannot be read is passed over with a warning among those that
// help, and is an error among those of which each is meant.
func TestOddCertificateInAFile(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	leaf := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"bob@example.org"}})).Certificate
	odd := *leaf
	odd.Raw = bytes.Replace(odd.Raw, []byte{0x17, 0x0d}, []byte{0x17, 0x0c}, 1) // a date
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string][]byte{
		"anchors.pem": testpki.EncodeCertificates(&odd, ca.Root), "bob.pem": testpki.EncodeCertificates(leaf),
		"odd.pem": testpki.EncodeCertificates(&odd), "to.pem": testpki.EncodeCertificates(leaf, &odd), "mail.eml": []byte("From: a@example.org\r\nTo: bob@example.org\r\n\r\nx\r\n"),
	} {
		if err := os.WriteFile(path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"cert", "check", "--purpose", "encrypt", "--trust", path("anchors.pem"), "--revocation", "off", path("bob.pem")}, 0, "warning: --trust: certificates \""},
		{[]string{"cert", "check", "--purpose", "encrypt", "--trust", path("anchors.pem"), "--revocation", "off", path("to.pem")}, 0, "warning: CERT: certificates \""},
		{[]string{"cert", "check", "--purpose", "encrypt", "--trust", path("anchors.pem"), "--revocation", "off", path("anchors.pem")}, 2, "certificate 1 in it cannot be read: certificate: its validity"},
		{[]string{"cert", "check", "--purpose", "encrypt", "--trust", path("anchors.pem"), "--revocation", "off", path("odd.pem")}, 2, "well-formed; ask its owner for another one"},
		{[]string{"encrypt", "--to", path("to.pem"), path("mail.eml")}, 2, "certificate 2 in it cannot be read: certificate: its validity"},
		{[]string{"encrypt", "--to", path("nowhere.pem"), path("mail.eml")}, 2, "; check the path"},
		{[]string{"encrypt", "--to", path("bob.pem"), path("mail.eml")}, 0, ""},
	} {
		var out, errs bytes.Buffer
		status := run(c.args, &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, clock: time.Now})
		if status != c.status || !strings.Contains(errs.String(), c.says) || c.says == "" && errs.Len() > 0 {
			t.Errorf("%q: %d, %s", c.args, status, errs.String())
		}
	}
}
