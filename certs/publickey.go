package certs

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mlkem"
	"crypto/rsa"
	"crypto/x509"

	"github.com/smimerelay/smimerelay/internal/pki"
)

// minRSA is the size of RSA keys, in bits, below which they can be broken.
const minRSA = 2048

// checkKey judges the key of c.
func (v *Validator) checkKey(c *x509.Certificate, key crypto.PublicKey) *problem {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return v.checkRSA(c, key)
	case pki.PSSKey:
		return v.checkRSA(c, key.PublicKey)
	case *ecdsa.PublicKey:
		if key.Params().BitSize < 256 {
			return refuse(WeakKey, c, "curve %s is below 256 bits", key.Params().Name)
		}
		return nil
	case ed25519.PublicKey, *ecdh.PublicKey, *mlkem.EncapsulationKey768, *mlkem.EncapsulationKey1024:
		return nil
	}
	return refuse(UnsupportedKey, c, "its kind of key, %s, is not supported", pki.KeyName(c))
}

func (v *Validator) checkRSA(c *x509.Certificate, key *rsa.PublicKey) *problem {
	low := minRSA
	if v.cfg.AllowRSA1024 {
		low = 1024
	}
	switch n := key.N.BitLen(); {
	case n < low:
		return refuse(WeakKey, c, "RSA key of %d bits is below %d", n, low)
	case n > pki.MaxRSA:
		return refuse(UnsupportedKey, c, "RSA key of %d bits is over %d", n, pki.MaxRSA)
	case key.E < 3 || key.E&1 == 0:
		return refuse(WeakKey, c, "RSA exponent %d", key.E)
	}
	return nil
}
