package smime

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"testing"

	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Each peer reads the objects of indefinite length that package cms writes as streams.
func TestPeersReadStreams(t *testing.T) {
	w := newWorld(t)
	content := bytes.Repeat([]byte("Content-Type: text/plain\r\n\r\nThe quick brown fox.\r\n"), 2000)
	for _, p := range w.peers(t) {
		t.Run(p.Name(), func(t *testing.T) {
			var encrypted, signed bytes.Buffer
			to := cms.EncryptRequest{Recipients: []*x509.Certificate{w.alice.Certificate}}
			if err := cms.EncryptStream(&encrypted, to, bytes.NewReader(content), -1); err != nil {
				t.Fatal(err)
			}
			if got, err := p.Decrypt(objectMessage(t, "enveloped-data", encrypted.Bytes())); err != nil || !bytes.Equal(got, content) {
				t.Errorf("decrypted %d octets, %v", len(got), err)
			}
			by := cms.SignRequest{Signers: []cms.Signer{{Certificate: w.alice.Certificate, Key: w.alice.Key.(crypto.Signer)}}}
			if err := cms.SignStream(&signed, by, bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			if got, err := p.Verify(objectMessage(t, "signed-data", signed.Bytes())); err != nil || !bytes.Equal(got, content) {
				t.Errorf("verified %d octets, %v", len(got), err)
			}
		})
	}
}

// objectMessage is a message that is an object.
func objectMessage(t *testing.T, smimeType string, object []byte) []byte {
	t.Helper()
	m, err := withHeader(t, []byte("\r\n")).Apply(message.Change{Entity: &message.Entity{
		Fields: objectFields(smimeType), Body: []message.Piece{message.Base64(message.Octets(object))}}})
	if err != nil {
		t.Fatal(err)
	}
	return m.Bytes()
}
