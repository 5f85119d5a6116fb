package smime

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/internal/testing/corpora"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestVectorDigests: what is made here is, octet by octet, what the RFC's samples sign.
func TestVectorDigests(t *testing.T) {
	for _, v := range vectors {
		if sum := sha256.Sum256([]byte(v.payload())); v.form != plainVector && hex.EncodeToString(sum[:]) != v.digest {
			t.Errorf("%s, section %s: the digest is %x, in the RFC %s:\n%s", v.name, v.section, sum, v.digest, v.payload())
		}
	}
}

// vectorSigner signs the vectors: the sample identity of RFC 9216, or one of a test.
type vectorSigner struct {
	identity *certs.Identity
	// others are certificates that the RFC's objects have before the signer's own.
	others []*x509.Certificate
}

// object signs a payload as the RFC's samples are signed: with the least of attributes.
func (s *vectorSigner) object(t *testing.T, v *vector) []byte {
	t.Helper()
	object, err := cms.Sign(cms.SignRequest{
		Content: [][]byte{[]byte(v.payload())}, Detached: v.form == clearVector, Certificates: s.others,
		Signers: []cms.Signer{{
			Certificate: s.identity.Certificate, Key: s.identity.Key.(crypto.Signer), Time: v.time(), Ciphers: []cms.Cipher{},
			OmitSigningCertificate: true, OmitAlgorithmProtection: true,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return object.Bytes()
}

// message is the vector as it is sent, with the fields given as its header.
func (s *vectorSigner) message(t *testing.T, v *vector, fields []vectorField, to *x509.Certificate) *message.Message {
	t.Helper()
	header := crlf(writeVectorFields(fields))
	switch v.form {
	case plainVector:
		return parse(t, v.unprotected())
	case clearVector:
		return parse(t, "MIME-Version: 1.0\r\nContent-Type: multipart/signed;\r\n protocol=\"application/pkcs7-signature\"; boundary=\"e19\";\r\n micalg=\"sha-256\"\r\n"+
			header+"\r\n--e19\r\n"+v.payload()+"\r\n--e19\r\nContent-Transfer-Encoding: base64\r\n"+
			"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n\r\n"+base64Lines(s.object(t, v))+"\r\n--e19--\r\n")
	}
	signed := pkcs7Entity("signed-data", "", s.object(t, v))
	if v.form == opaqueVector {
		return parse(t, pkcs7Entity("signed-data", header, s.object(t, v)))
	}
	object, err := cms.Encrypt(cms.EncryptRequest{Content: [][]byte{[]byte(signed)}, Recipients: []*x509.Certificate{to}})
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, pkcs7Entity("enveloped-data", header, object.Bytes()))
}

func pkcs7Entity(kind, header string, object []byte) string {
	return "Content-Transfer-Encoding: base64\r\nContent-Type: application/pkcs7-mime; name=\"smime.p7m\";\r\n smime-type=\"" + kind + "\"\r\n" +
		header + "\r\n" + base64Lines(object)
}

func base64Lines(object []byte) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(object)), 64) {
		b.Write(line)
		b.WriteString("\r\n")
	}
	return b.String()
}

// TestVectorSignatures: the signatures are those of the RFC too, and pass with the chain of
// RFC 9216.
func TestVectorSignatures(t *testing.T) {
	dir := filepath.Join(corpora.Dir(t), "rfc9216")
	read := func(name string) []*x509.Certificate {
		list, err := file.ReadCertificates(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	ids, err := file.ReadIdentities(filepath.Join(dir, "alice@smime.example.sig.pem"), "")
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	alice := &vectorSigner{ids[0], read("alice@smime.example.enc.pem")}
	checker, err := path.NewValidator(path.Config{Anchors: read("Sample_LAMPS_RSA_Certification_Authority.selfsigned.pem"), Revocation: certs.RevocationOff})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	for _, v := range vectors {
		if v.form == plainVector {
			continue
		}
		if end, err := hex.DecodeString(v.signature); err != nil || !bytes.HasSuffix(alice.object(t, &v), end) {
			t.Errorf("%s, section %s: the signature is another than in the RFC, %v", v.name, v.section, err)
		}
		opened := Open(t.Context(), alice.message(t, &v, v.outer(), w.bob.Certificate), OpenOptions{
			Checker: checker, Keys: certs.NewKeys(nil, w.bob), Revocation: certs.RevocationOff, At: v.time(),
		})
		if opened.Report.Result != certs.Pass {
			t.Errorf("%s, section %s: %+v", v.name, v.section, opened.Report)
		}
	}
}
