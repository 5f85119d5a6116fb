package pkix

import "crypto"

// PublicHalf returns the public key of a private one, whatever holds it.
func PublicHalf(key crypto.PrivateKey) (crypto.PublicKey, bool) {
	k, ok := key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, false
	}
	return k.Public(), true
}
