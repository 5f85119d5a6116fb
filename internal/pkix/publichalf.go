package pkix

import "crypto"

// PublicHalf returns the public key of a private one, whatever holds it.
func PublicHalf(key crypto.PrivateKey) (crypto.PublicKey, bool) {
	switch k := key.(type) {
	case interface{ Public() crypto.PublicKey }:
		return k.Public(), true
	case crypto.Decapsulator: // crypto/mlkem has no Public
		bits := k.Encapsulator().Bytes()
		for i := range kemSets {
			if kemSets[i].public == len(bits) {
				return &KEMKey{k.Encapsulator(), &kemSets[i]}, true
			}
		}
	}
	return nil, false
}
