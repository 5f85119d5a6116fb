package cms

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// derivationSalt is the salt of CMS_CEK_HKDF_SHA256 (RFC 9709 section 2).
const derivationSalt = "The Cryptographic Message Syntax"

// deriveContentKey is CMS_CEK_HKDF_SHA256 (RFC 9709 section 2): the key that the
// content is encrypted with, of the key that the recipients get and the
// AlgorithmIdentifier of the cipher in DER. It has the size of key. An attacker who
// names another cipher, such as AES-CBC for AES-GCM, has the recipient use another
// key.
func deriveContentKey(key, cipher []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, key, []byte(derivationSalt), string(cipher), len(key))
}

// readDerivation takes the cipher out of the parameters of id-alg-cek-hkdf-sha256
// (RFC 9709 section 3), where e.alg is that.
func (e *EnvelopedData) readDerivation() error {
	if !e.alg.is(oidCEKHKDF) {
		return nil
	}
	der, err := DER(e.alg.params)
	if err != nil {
		return malformed("key derivation without a cipher: %v", err)
	}
	in := newCursor(der)
	e.alg = in.algorithm()
	if in.err != nil {
		return in.err
	}
	e.DerivedKey, e.derivedFor = true, der
	return nil
}

// derived puts the derivation of the content key before o.
func (e *EnvelopedData) derived(o opener) opener {
	if !e.DerivedKey {
		return o
	}
	return opener{o.keySize, func(key []byte) ([]byte, error) {
		key, err := deriveContentKey(key, e.derivedFor)
		if err != nil {
			return nil, ErrDecrypt
		}
		return o.open(key)
	}}
}

// contentEncryption returns contentEncryptionAlgorithm for a cipher with its
// parameters, and the key that the content is encrypted with.
func (e *encrypter) contentEncryption(params []byte) (alg, key []byte, err error) {
	cipher := make(builder, 0, 64)
	cipher.algorithm(e.spec.oid, params)
	if !e.request.DeriveKey {
		return cipher, e.key, nil
	}
	key, err = deriveContentKey(e.key, cipher)
	outer := make(builder, 0, 80)
	outer.algorithm(oidCEKHKDF, cipher)
	return outer, key, err
}
