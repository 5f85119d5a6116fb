package scep

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	pki "github.com/smimerelay/smimerelay/internal/pkix"
)

var oidChallenge = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}

// certificationRequest is a PKCS #10 request (RFC 2986 section 4).
type certificationRequest struct {
	Info      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// requestInfo is what it says.
type requestInfo struct {
	Version    int
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Attributes []asn1.RawValue `asn1:"tag:0"`
}

// attribute is one with values of any type.
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// withChallenge adds a challengePassword (RFC 2985 section 5.4.1) to a request, which
// crypto/x509 cannot, and signs it again.
func withChallenge(der []byte, key keyRSA, password string) ([]byte, error) {
	var request certificationRequest
	var info requestInfo
	if _, err := asn1.Unmarshal(der, &request); err != nil {
		return nil, err
	}
	if _, err := asn1.Unmarshal(request.Info.FullBytes, &info); err != nil {
		return nil, err
	}
	text, err := asn1.Marshal(password)
	if err != nil {
		return nil, err
	}
	added, err := asn1.Marshal(attribute{oidChallenge, []asn1.RawValue{{FullBytes: text}}})
	if err != nil {
		return nil, err
	}
	info.Attributes = append(info.Attributes, asn1.RawValue{FullBytes: added})
	slices.SortFunc(info.Attributes, func(a, b asn1.RawValue) int { return bytes.Compare(a.FullBytes, b.FullBytes) }) // a SET OF, in DER
	raw, err := asn1.Marshal(info)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(raw)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	request.Info = asn1.RawValue{FullBytes: raw}
	request.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return asn1.Marshal(request)
}

// challengeOf reads the challengePassword of a request; "" where there is none.
func challengeOf(csr *x509.CertificateRequest) string {
	var info requestInfo
	if _, err := asn1.Unmarshal(csr.RawTBSCertificateRequest, &info); err != nil {
		return ""
	}
	for _, raw := range info.Attributes {
		var a attribute
		var text string
		if _, err := asn1.Unmarshal(raw.FullBytes, &a); err != nil || !a.Type.Equal(oidChallenge) || len(a.Values) != 1 {
			continue
		}
		if _, err := asn1.Unmarshal(a.Values[0].FullBytes, &text); err == nil {
			return text
		}
	}
	return ""
}

// transactionOf names the transaction of a key: the same after a restart, so that a server
// knows a request that is repeated (RFC 8894 section 3.2.1.1).
func transactionOf(csr *x509.CertificateRequest) string {
	return fmt.Sprintf("%X", sha256.Sum256(csr.RawSubjectPublicKeyInfo))
}

// ownCertificate signs the key of a request with itself, for the messages of the request (RFC
// 8894 section 2.3).
func ownCertificate(csr *x509.CertificateRequest, key keyRSA, now time.Time) (*party, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, RawSubject: csr.RawSubject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	c, err := pki.ParseCertificate(der)
	return &party{c, key}, err
}

// ownLife is how long such a certificate is valid: longer than a request should wait.
const ownLife = 30 * 24 * time.Hour

// issuerAndSubject is what CertPoll asks by (RFC 8894 section 3.3.3).
func issuerAndSubject(issuer *x509.Certificate, csr *x509.CertificateRequest) ([]byte, error) {
	return asn1.Marshal(struct{ Issuer, Subject asn1.RawValue }{
		asn1.RawValue{FullBytes: issuer.RawSubject}, asn1.RawValue{FullBytes: csr.RawSubject},
	})
}

// errRSA is why there is no SCEP for other keys.
var errRSA = errors.New("SCEP encrypts answers to the key, and knows RSA alone: set key_type to rsa3072")
