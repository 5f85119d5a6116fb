package service

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestPairRemedy: each way in which a certificate and its key do not go together has a remedy of
// its own, whatever words crypto/tls finds for it.
func TestPairRemedy(t *testing.T) {
	dir := t.TempDir()
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	own, other := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"a@example.org"}})), testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"b@example.org"}}))
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	chain, der := testpki.EncodeCertificates(own.Certificate), own.Certificate.Raw
	both, foreign := testpki.Must(own.PEM()), testpki.Must(other.PEM())
	secret := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})
	var key []byte
	for rest := both; len(key) == 0; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); strings.HasSuffix(b.Type, "PRIVATE KEY") {
			key = pem.EncodeToMemory(b)
		}
	}
	for name, c := range map[string]struct {
		certificate, key []byte
		want             string
	}{
		"exchanged":         {key, chain, "exchange the two options"},
		"DER":               {der, key, "convert the certificate to PEM"},
		"PKCS #12":          {chain, testpki.Must(own.PKCS12("secret")), "convert the key to PEM"},
		"under a password":  {chain, secret, "removes it"},
		"of another":        {chain, foreign, "name the key of the first certificate"},
		"certificate twice": {chain, chain, "name the file with the private key"},
		"damaged":           {chain[:len(chain)/2], key, ""},
	} {
		_, err := pemfile.KeyPair(write("certificate", c.certificate), write("key", c.key))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if got := pairRemedy(err); !strings.Contains(got, c.want) || got == "" && !strings.Contains(err.Error(), "; ") {
			t.Errorf("%s: %v; %q, want %q", name, err, got, c.want)
		}
	}
}
