package testpki

import (
	"bytes"
	"crypto/fips140"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// EncodeCertificates returns certificates as PEM blocks, in order.
func EncodeCertificates(list ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range list {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// EncodeCRL returns a revocation list as PEM.
func EncodeCRL(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// KeyPEM returns the private key alone, as PKCS #8 in PEM, without a password.
func (id *Identity) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return nil, fmt.Errorf("private key of %q: %w", id.Certificate.Subject, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// CertificatePEM returns the certificate and its chain as PEM.
func (id *Identity) CertificatePEM() []byte {
	return EncodeCertificates(append([]*x509.Certificate{id.Certificate}, id.Chain...)...)
}

// PEM returns the key, the certificate and the chain in one PEM file.
func (id *Identity) PEM() ([]byte, error) {
	key, err := id.KeyPEM()
	if err != nil {
		return nil, err
	}
	return append(key, id.CertificatePEM()...), nil
}

// PKCS12 returns the identity as PKCS #12 with PBES2, AES-256 and SHA-256.
func (id *Identity) PKCS12(password string) ([]byte, error) {
	var der []byte
	var err error
	fips140.WithoutEnforcement(func() { der, err = pkcs12.Modern.Encode(id.Key, id.Certificate, id.Chain, password) })
	if err != nil {
		return nil, fmt.Errorf("pkcs #12 of %q: %w", id.Certificate.Subject, err)
	}
	return der, nil
}
