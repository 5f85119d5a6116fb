//go:build cgo

package cryptoki

import (
	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// signer is a key of either kind.
type signer interface {
	handle(*session) (pkcs11.ObjectHandle, error)
	sign(*pool, *session, contract.Algorithm, []byte) ([]byte, error)
}

// begin starts an operation with the key: begin is C_SignInit or C_DecryptInit.
func (k private) begin(p *pool, s *session, init func(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error, m *pkcs11.Mechanism) error {
	h, err := k.handle(s)
	if err != nil {
		return err
	}
	if err := init(s.handle, []*pkcs11.Mechanism{m}, h); err != nil {
		return err
	}
	if k.always {
		return p.enterPIN(s, pkcs11.CKU_CONTEXT_SPECIFIC)
	}
	return nil
}

// signWith has the token sign data. The gateway checks what comes back.
func (k private) signWith(p *pool, s *session, m *pkcs11.Mechanism, data []byte) ([]byte, error) {
	if err := k.begin(p, s, s.api.SignInit, m); err != nil {
		return nil, err
	}
	return s.api.Sign(s.handle, data)
}
