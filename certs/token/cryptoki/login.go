//go:build cgo

package cryptoki

import (
	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// logIn logs in to the token of a session, if it asks for that and no session has yet.
func (p *pool) logIn(s *session) error {
	p.module.login.Lock()
	defer p.module.login.Unlock()
	switch in, err := s.loggedIn(); {
	case err != nil:
		return err
	case in:
		return nil
	}
	info, err := p.module.GetTokenInfo(s.slot)
	switch {
	case err != nil:
		return err
	case info.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0:
		return nil
	case info.Flags&pkcs11.CKF_USER_PIN_LOCKED != 0:
		return refuse("its PIN is locked")
	case info.Flags&pkcs11.CKF_USER_PIN_FINAL_TRY != 0:
		return refuse("it allows one more attempt at its PIN only; log in manually once, so that it does not lock")
	}
	return p.enterPIN(s, pkcs11.CKU_USER)
}

// loggedIn reports whether the session may use private keys.
func (s *session) loggedIn() (bool, error) {
	info, err := s.api.GetSessionInfo(s.handle)
	return info.State == pkcs11.CKS_RO_USER_FUNCTIONS || info.State == pkcs11.CKS_RW_USER_FUNCTIONS, err
}

// enterPIN sends the PIN to the token; it is read again each time and kept
// nowhere. One that was refused is not tried again until its file changes.
func (p *pool) enterPIN(s *session, user uint) error {
	name, err := p.uri.PINFile()
	switch {
	case err != nil:
		return err
	case name == "":
		return refuse("it asks for a PIN: write it into a file and add pin-source=file:/path")
	}
	pin, info, err := file.ReadSecret(name)
	if err != nil {
		return refuse("%w", err)
	}
	if p.module.registry.barred(name, info) {
		return contract.Errorf(contract.WrongPIN, "it refused the PIN in %q, which is not tried again until the file changes, so that the token does not lock", name)
	}
	err = p.module.Login(s.handle, user, pin)
	switch code(err) {
	case pkcs11.CKR_USER_ALREADY_LOGGED_IN:
		return nil
	case pkcs11.CKR_PIN_INCORRECT, pkcs11.CKR_PIN_INVALID, pkcs11.CKR_PIN_LEN_RANGE, pkcs11.CKR_PIN_EXPIRED, pkcs11.CKR_PIN_LOCKED:
		p.module.registry.bar(name, info)
		return contract.Errorf(contract.WrongPIN, "it refuses the PIN in %q: %w", name, err)
	}
	return err
}
