package est

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// TestClientServerKey: the key and the certificate of an answer, in any order; and answers that
// are none.
func TestClientServerKey(t *testing.T) {
	s, c := newServer(t, "p256")
	c.ServerKey = true
	id := (*certs.Identity)(testpki.Must(s.ca.Issue(testpki.Leaf{Addresses: []string{"alice@example.com"}})))
	part := func(media string, der []byte) string {
		return "--x\r\nContent-Type: " + media + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(der) + "\r\n"
	}
	key := part(typePKCS8, testpki.Must(pkix.MarshalPrivateKey(id.Key)))
	list := part(typePKCS7+"; smime-type=certs-only", testpki.Must(file.EncodeBundle([]*x509.Certificate{id.Certificate})))
	for name, one := range map[string]struct {
		media, body, says string
	}{
		"key first":         {"multipart/mixed; boundary=x", key + list + "--x--\r\n", ""},
		"certificate first": {"multipart/mixed; boundary=x", list + key + "--x--\r\n", ""},
		"no key":            {"multipart/mixed; boundary=x", list + "--x--\r\n", "lacks the key"},
		"no certificate":    {"multipart/mixed; boundary=x", key + "--x--\r\n", "lacks the key"},
		"an encrypted key":  {"multipart/mixed; boundary=x", part(typePKCS7+"; smime-type=server-generated-key", []byte("x")) + list + "--x--\r\n", "encrypted"},
		"cut off":           {"multipart/mixed; boundary=x", key + list, "EOF"},
		"another type":      {typePKCS7, list, "multipart/mixed"},
	} {
		s.asked = nil
		s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", one.media)
			_, _ = fmt.Fprint(w, one.body)
			return true
		}
		got, err := c.Begin(t.Context(), s.order)
		if one.says != "" {
			if err == nil || !strings.Contains(err.Error(), one.says) || got.Key != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || s.asked[1] != opKeygen {
			t.Errorf("%s: %v, %v", name, s.asked, err)
			continue
		}
		if err := (&certs.Identity{Certificate: got.Certificates[0], Key: got.Key}).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWantsEncryption: a request that names a key for the answer is recognized; another one, also
// with a challenge password, is not such.
func TestWantsEncryption(t *testing.T) {
	for name, one := range map[string]struct {
		attributes string
		want       bool
	}{
		"plain":      {"challengePassword = secret", false},
		"symmetric":  {"1.2.840.113549.1.9.16.2.37 = key", true},
		"asymmetric": {"1.2.840.113549.1.9.16.2.54 = key", true},
	} {
		dir := t.TempDir()
		config := "[req]\ndistinguished_name = dn\nattributes = more\nprompt = no\n[dn]\nCN = alice@example.com\n[more]\n" + one.attributes + "\n"
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-config", "config", "-outform", "DER")
		cmd.Dir = dir
		der, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := wantsEncryption(testpki.Must(x509.ParseCertificateRequest(der))); got != one.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
