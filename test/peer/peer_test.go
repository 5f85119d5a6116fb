package peer

import (
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

const entity = "Content-Type: text/plain\r\n\r\nhello\r\n"

// TestPeers lets each peer read what each makes, so that a failure elsewhere is
// not the harness's.
func TestPeers(t *testing.T) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	rsa := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"rsa@test.example"}, Key: "rsa2048"}))
	ec := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{"ec@test.example"}, Key: "p256"}))
	var openssl, gnupg, nss Peer = NewOpenSSL(t, ca, rsa, ec), NewGnuPG(t, ca, rsa, ec), NewNSS(t, ca, rsa, ec)
	var bouncy Peer = NewBouncyCastle(t, ca, rsa, ec)
	peers := []Peer{openssl, gnupg, nss, bouncy}
	for _, maker := range peers {
		for _, reader := range peers {
			t.Run(maker.Name()+" to "+reader.Name(), func(t *testing.T) {
				signedBy(t, maker, reader, rsa)
				// gpgsm 2.2.40 does not parse the BER that Bouncy Castle writes.
				if maker != bouncy || reader != gnupg {
					encryptedTo(t, maker, reader, rsa)
				}
			})
		}
	}
	// What they can do with EC keys differs; OpenSSL's signatures all read.
	for _, reader := range peers {
		t.Run("P-256 to "+reader.Name(), func(t *testing.T) { signedBy(t, openssl, reader, ec) })
	}
}

func signedBy(t *testing.T, maker, reader Peer, id *testpki.Identity) {
	t.Helper()
	made, err := maker.Sign([]byte(entity), id, Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := reader.Verify(made)
	if err != nil || string(got) != entity {
		t.Errorf("signed: %v: %q", err, got)
	}
}

func encryptedTo(t *testing.T, maker, reader Peer, id *testpki.Identity) {
	t.Helper()
	made, err := maker.Encrypt([]byte(entity), id, Algorithms{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := reader.Decrypt(made)
	if err != nil || string(got) != entity {
		t.Errorf("encrypted: %v: %q", err, got)
	}
}
