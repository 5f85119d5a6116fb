package certs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/pki"
	"software.sslmate.com/src/go-pkcs12"
)

var (
	errNoKey         = errors.New("no private key in it")
	errNoCertForKey  = errors.New("no certificate in it belongs to its private key")
	errKeyEncrypted  = errors.New("the private key is encrypted in a way that is not understood; use PKCS #12 or PKCS #8")
	errNotIA5        = errors.New("rfc822Name with characters beyond ASCII")
	errWrongPassword = errors.New("the password is wrong")
	errIndefinite    = errors.New("PKCS #12 with indefinite lengths, as NSS and Mozilla write it; convert it: openssl pkcs12 -in FILE -out NEW.pem")
	errNotPKCS12     = errors.New("neither PEM nor well-formed PKCS #12")
)

// ReadIdentity reads a private key with its certificate and chain from a
// PKCS #12 or PEM file. password may be "" for PEM.
func ReadIdentity(file, password string) (*Identity, error) {
	data, err := readLimited(file, maxFile)
	if err != nil {
		return nil, err
	}
	id, err := ParseIdentity(data, password)
	if err != nil {
		return nil, fmt.Errorf("identity %q: %w", file, err)
	}
	return id, nil
}

// ParseIdentity is ReadIdentity for what is in memory.
func ParseIdentity(data []byte, password string) (*Identity, error) {
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return parseIdentityPEM(data, password)
	}
	if err := checkIterations(data); err != nil {
		return nil, err
	}
	key, cert, chain, err := pkcs12.DecodeChain(data, password)
	if errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, errWrongPassword
	}
	if err != nil {
		return nil, err
	}
	return newIdentity(key, append([]*x509.Certificate{cert}, chain...))
}

func parseIdentityPEM(data []byte, password string) (*Identity, error) {
	list, err := parsePEM(data)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, errNoKey
		}
		key, err := parseKey(block, password)
		if err != nil {
			return nil, err
		}
		if key != nil {
			return newIdentity(key, list)
		}
	}
}

// parseKey returns the private key of a PEM block, nil if it is none.
func parseKey(b *pem.Block, password string) (crypto.PrivateKey, error) {
	if b.Headers["DEK-Info"] != "" {
		return nil, errKeyEncrypted
	}
	switch b.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(b.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		der, err := decryptPKCS8(b.Bytes, password)
		if err != nil {
			return nil, err
		}
		return x509.ParsePKCS8PrivateKey(der)
	}
	return nil, nil
}

// newIdentity finds the certificate of key in list; all others that are not
// self-issued are its chain.
func newIdentity(key crypto.PrivateKey, list []*x509.Certificate) (*Identity, error) {
	id := &Identity{Key: key}
	for _, c := range list {
		if id.Certificate == nil && belongs(key, c) {
			id.Certificate = c
		}
	}
	if id.Certificate == nil {
		return nil, errNoCertForKey
	}
	for _, c := range unique(list) {
		if !c.Equal(id.Certificate) && !bytes.Equal(c.RawIssuer, c.RawSubject) {
			id.Chain = append(id.Chain, c)
		}
	}
	return id, nil
}

// belongs reports whether key is the private key of c.
func belongs(key crypto.PrivateKey, c *x509.Certificate) bool {
	k, ok := key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return false
	}
	pub, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(pki.PublicKey(c))
}
