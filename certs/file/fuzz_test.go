package file

import (
	"bytes"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// FuzzParseContents holds that whatever a file says, an identity is a key with its
// own certificate, and an error is one line.
func FuzzParseContents(f *testing.F) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	for _, kind := range []string{"rsa2048", "p256", "ed25519", "x25519"} {
		id := testpki.Must(ca.Issue(testpki.Leaf{Key: kind}))
		f.Add(testpki.Must(id.PEM()))
		f.Add(id.Certificate.Raw)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("ENCRYPTED")) || isPKCS12(data) {
			return // may ask for seconds of work; package pkcs12 has a target of its own
		}
		c, err := ParseContents(data, "")
		if err != nil {
			if bytes.ContainsAny([]byte(err.Error()), "\r\n") {
				t.Errorf("not one line: %q", err)
			}
			return
		}
		for _, id := range c.Identities {
			if id.Check() != nil || c.Protected {
				t.Error("a key with another's certificate")
			}
		}
	})
}
