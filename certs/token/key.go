//go:build pkcs11

package token

import (
	"errors"

	"github.com/miekg/pkcs11"
)

// key is what RSA and EC keys have in common.
type key struct {
	private
	pool *pool
}

var errWrongSignature = errors.New("the signature that it made is wrong")

// Ready implements cms.Device: there is a session, and the key is found in it.
func (k *key) Ready() error {
	_, err := do(k.pool, func(s *session) (pkcs11.ObjectHandle, error) {
		if _, err := s.loggedIn(); err != nil {
			return 0, err
		}
		return k.handle(s)
	})
	if err != nil {
		return k.pool.uri.failure("not ready", err)
	}
	return nil
}

// begin starts an operation with the key: begin is C_SignInit or C_DecryptInit.
func (k *key) begin(s *session, init func(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error, m *pkcs11.Mechanism) error {
	h, err := k.handle(s)
	if err != nil {
		return err
	}
	if err := init(s.handle, []*pkcs11.Mechanism{m}, h); err != nil {
		return err
	}
	if k.always {
		return k.pool.enterPIN(s, pkcs11.CKU_CONTEXT_SPECIFIC)
	}
	return nil
}

// sign has the token sign data; good checks what comes back. A signature that
// went wrong can give an RSA key away, and must not leave in any case.
func (k *key) sign(m *pkcs11.Mechanism, data []byte, good func(signature []byte) bool) ([]byte, error) {
	signature, err := do(k.pool, func(s *session) ([]byte, error) {
		if err := k.begin(s, s.api.SignInit, m); err != nil {
			return nil, err
		}
		return s.api.Sign(s.handle, data)
	})
	if err == nil && !good(signature) {
		err = errWrongSignature
	}
	if err != nil {
		return nil, k.pool.uri.failure("signing", err)
	}
	return signature, nil
}
