package cms

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
)

// Whose certificate came and cannot be read is not said to have sent none.
func TestAnUnreadableSignerCertificateIsTheReason(t *testing.T) {
	id, other := newIdentity(t, "p256"), newIdentity(t, "p256-c")
	info := forgedInfo{id: id, attrs: goodAttributes(content)}.der(t)
	signed := func(certs ...[]byte) *SignedData {
		f := forgery{infos: [][]byte{info}}
		for _, der := range certs {
			f.certs = append(f.certs, &x509.Certificate{Raw: der})
		}
		s, err := ParseSignedData(f.der())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	// A version that does not exist, in an explicit tag of its own.
	broken := func(der []byte) []byte {
		return bytes.Replace(der, []byte("\xa0\x03\x02\x01\x02"), []byte("\xa0\x03\x02\x01\x07"), 1)
	}
	for name, c := range map[string]struct {
		certs [][]byte
		want  error
		words string
	}{
		"the signer's":          {[][]byte{broken(id.cert.Raw)}, ErrCertificate, "certificate 1: certificate: its version"},
		"the signer's, second":  {[][]byte{other.cert.Raw, broken(id.cert.Raw)}, ErrCertificate, "certificate 2: "},
		"another one":           {[][]byte{broken(other.cert.Raw)}, ErrNoCertificate, ""},
		"one that is no object": {[][]byte{{0x30, 2, 5, 0}}, ErrNoCertificate, ""},
	} {
		err := signed(c.certs...).Verify(VerifyOptions{Content: [][]byte{content}})[0].Err
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := signed(broken(id.cert.Raw)).Verify(VerifyOptions{Content: [][]byte{content}, Certificates: certificates(id)})[0]; r.Err != nil {
		t.Errorf("a good copy from elsewhere: %v", r.Err)
	}
	byKey := ID{SubjectKeyID: id.cert.SubjectKeyId}
	if err := signed(broken(id.cert.Raw)).missing(byKey); !errors.Is(err, ErrCertificate) {
		t.Errorf("by its key identifier: %v", err)
	}
	if err := signed(broken(other.cert.Raw)).missing(byKey); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("by another's key identifier: %v", err)
	}
}
