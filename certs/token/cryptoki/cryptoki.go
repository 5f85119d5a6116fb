//go:build cgo

package cryptoki

import (
	"errors"

	"github.com/miekg/pkcs11"

	"github.com/smimerelay/smimerelay/certs/token/contract"
)

// cryptoki is what we use of PKCS #11: *pkcs11.Ctx, or a test that fails.
type cryptoki interface {
	Initialize(...pkcs11.InitializeOption) error
	Finalize() error
	Destroy()
	GetInfo() (pkcs11.Info, error)
	GetSlotList(tokenPresent bool) ([]uint, error)
	GetSlotInfo(slot uint) (pkcs11.SlotInfo, error)
	GetTokenInfo(slot uint) (pkcs11.TokenInfo, error)
	OpenSession(slot, flags uint) (pkcs11.SessionHandle, error)
	CloseSession(pkcs11.SessionHandle) error
	GetSessionInfo(pkcs11.SessionHandle) (pkcs11.SessionInfo, error)
	Login(s pkcs11.SessionHandle, user uint, pin string) error
	FindObjectsInit(pkcs11.SessionHandle, []*pkcs11.Attribute) error
	FindObjects(s pkcs11.SessionHandle, limit int) ([]pkcs11.ObjectHandle, bool, error)
	FindObjectsFinal(pkcs11.SessionHandle) error
	GetAttributeValue(pkcs11.SessionHandle, pkcs11.ObjectHandle, []*pkcs11.Attribute) ([]*pkcs11.Attribute, error)
	SignInit(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error
	Sign(pkcs11.SessionHandle, []byte) ([]byte, error)
	DecryptInit(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle) error
	Decrypt(pkcs11.SessionHandle, []byte) ([]byte, error)
	DeriveKey(pkcs11.SessionHandle, []*pkcs11.Mechanism, pkcs11.ObjectHandle, []*pkcs11.Attribute) (pkcs11.ObjectHandle, error)
	DestroyObject(pkcs11.SessionHandle, pkcs11.ObjectHandle) error
	GenerateKeyPair(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, public, private []*pkcs11.Attribute) (pkcs11.ObjectHandle, pkcs11.ObjectHandle, error)
}

// refuse makes an error that only a person can mend: nothing is gained by trying
// again.
func refuse(format string, args ...any) error {
	return contract.Errorf(contract.Refused, format, args...)
}

var (
	errTimeout = errors.New("no answer in time")
	errBusy    = errors.New("all sessions are in use")
	errClosed  = errors.New("closed")
)

// code is the return value in err; CKR_OK where there is none.
func code(err error) pkcs11.Error {
	c, _ := errors.AsType[pkcs11.Error](err)
	return c
}

// lost reports whether err says that the session, or what it was good for, is
// gone, whatever the token was asked: a new session may help.
func lost(err error) bool {
	switch code(err) {
	case pkcs11.CKR_SESSION_HANDLE_INVALID, pkcs11.CKR_SESSION_CLOSED, pkcs11.CKR_USER_NOT_LOGGED_IN,
		pkcs11.CKR_KEY_HANDLE_INVALID, pkcs11.CKR_OBJECT_HANDLE_INVALID, pkcs11.CKR_OPERATION_ACTIVE:
		return true
	}
	return absent(err)
}

// absent reports whether err says that the token or the library is gone.
func absent(err error) bool {
	switch code(err) {
	case pkcs11.CKR_DEVICE_REMOVED, pkcs11.CKR_TOKEN_NOT_PRESENT, pkcs11.CKR_TOKEN_NOT_RECOGNIZED,
		pkcs11.CKR_SLOT_ID_INVALID, pkcs11.CKR_CRYPTOKI_NOT_INITIALIZED:
		return true
	}
	return false
}

// broken reports whether err says that the device failed. Some tokens say so of
// a bad padding as well: see rsaKey.learn.
func broken(err error) bool {
	switch code(err) {
	case pkcs11.CKR_DEVICE_ERROR, pkcs11.CKR_DEVICE_MEMORY, pkcs11.CKR_HOST_MEMORY,
		pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED:
		return true
	}
	return false
}

// unable reports whether err says that the key or the token does not do what was
// asked for, and never will. It is for what begins an operation, before the
// token has seen any data.
func unable(err error) bool {
	switch code(err) {
	case pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_ARGUMENTS_BAD,
		pkcs11.CKR_KEY_TYPE_INCONSISTENT, pkcs11.CKR_KEY_FUNCTION_NOT_PERMITTED,
		pkcs11.CKR_FUNCTION_NOT_SUPPORTED, pkcs11.CKR_KEY_SIZE_RANGE, pkcs11.CKR_CURVE_NOT_SUPPORTED,
		pkcs11.CKR_TEMPLATE_INCONSISTENT, pkcs11.CKR_ATTRIBUTE_VALUE_INVALID, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID,
		pkcs11.CKR_TOKEN_WRITE_PROTECTED:
		return true
	}
	return false
}

// answer is err in the words of the contract.
func answer(err error) error {
	_, said := errors.AsType[*contract.Error](err)
	switch {
	case err == nil, said:
		return err
	case unable(err):
		return contract.Errorf(contract.Unsupported, "%w", err)
	}
	return contract.Errorf(contract.Unavailable, "%w", err)
}
