package peer

import (
	"encoding/base64"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testpki"
)

const entity = "Content-Type: text/plain\r\n\r\nhello\r\n"

// TestPeers lets each peer read what each makes, so that a failure elsewhere is
// not the harness's.
func TestPeers(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	rsa := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"rsa@test.example"}, Key: "rsa2048"}))
	ec := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"ec@test.example"}, Key: "p256"}))
	openssl, gnupg, nss := NewOpenSSL(t, ca, rsa, ec), NewGnuPG(t, ca, rsa, ec), NewNSS(t, ca, rsa, ec)
	peers := []Peer{openssl, gnupg, nss}
	for _, maker := range peers {
		for _, reader := range peers {
			t.Run(maker.Name()+" to "+reader.Name(), func(t *testing.T) {
				signedBy(t, maker, reader, rsa)
				encryptedTo(t, maker, reader, rsa)
			})
		}
	}
	// What the three can do with EC keys differs; OpenSSL's signatures all read.
	for _, reader := range peers {
		t.Run("P-256 to "+reader.Name(), func(t *testing.T) { signedBy(t, openssl, reader, ec) })
	}
}

func signedBy(t *testing.T, maker, reader Peer, id *testpki.Identity) {
	t.Helper()
	der, err := maker.Sign([]byte(entity), id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := reader.Verify(wrap("signed-data", der))
	if err != nil || string(got) != entity {
		t.Errorf("signed: %v: %q", err, got)
	}
}

func encryptedTo(t *testing.T, maker, reader Peer, id *testpki.Identity) {
	t.Helper()
	der, err := maker.Encrypt([]byte(entity), id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := reader.Decrypt(wrap("enveloped-data", der))
	if err != nil || string(got) != entity {
		t.Errorf("encrypted: %v: %q", err, got)
	}
}

func wrap(kind string, der []byte) []byte {
	head := "Content-Type: application/pkcs7-mime; smime-type=" + kind + "; name=smime.p7m\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n"
	text := base64.StdEncoding.EncodeToString(der)
	for ; len(text) > 76; text = text[76:] {
		head += text[:76] + "\r\n"
	}
	return []byte(head + text + "\r\n")
}
