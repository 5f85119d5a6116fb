package pemfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Pool reads the certificates of a PEM file as trust anchors for TLS. A file
// without one is an error, and so is a certificate that cannot be read: the server
// that it was meant for would be refused for another reason.
func Pool(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool, n := x509.NewCertPool(), 0
	for block, err := range Blocks(data) {
		if err != nil {
			return nil, fmt.Errorf("file %q: %w", path, err)
		}
		if block.Type != Certificate {
			continue
		}
		n++
		cert, err := pkix.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("file %q: certificate %d: %w", path, n, err)
		}
		pool.AddCert(cert)
	}
	if n == 0 {
		return nil, fmt.Errorf("file %q: no certificate in PEM form", path)
	}
	return pool, nil
}

// KeyPair reads a certificate chain and its private key for TLS.
func KeyPair(certificate, key string) (tls.Certificate, error) {
	chain, err := whole(certificate)
	if err != nil {
		return tls.Certificate{}, err
	}
	private, err := whole(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(chain, private)
}

// whole reads a file all of whose blocks can be decoded.
func whole(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, err := range Blocks(data) {
		if damaged := (*damagedError)(nil); errors.As(err, &damaged) {
			return nil, fmt.Errorf("file %q: %w", path, err)
		}
	}
	return Text(data), nil
}
