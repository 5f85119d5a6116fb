package cms

import (
	"errors"
	"fmt"
)

// The ways in which an object can be refused. Errors returned by this package
// wrap exactly one of them.
var (
	// ErrMalformed: the bytes are not the CMS object they claim to be.
	ErrMalformed = errors.New("cms: malformed")
	// ErrTooBig: a cap of this package or of the caller was exceeded.
	ErrTooBig = errors.New("cms: too big")
	// ErrMemory: the caller has no memory for the result now.
	ErrMemory = errors.New("cms: no memory")
	// ErrUnsupported: an algorithm or a form that this package does not know.
	ErrUnsupported = errors.New("cms: unsupported")
	// ErrWeak: the algorithm or the key is known, and refused as too weak.
	ErrWeak = errors.New("cms: weak")
	// ErrNotApproved: the algorithm or the key is known, and GODEBUG=fips140=only
	// forbids it.
	ErrNotApproved = errors.New("cms: not approved")
	// ErrKey: the key given is not of the kind that the operation needs. It
	// depends on the kind of the key alone, never on ciphertext.
	ErrKey = errors.New("cms: unsuitable key")
	// ErrDecrypt: decryption failed. Everything that depends on the key or on
	// the ciphertext is this one value, so that no one learns which step it was
	// (RFC 3218, RFC 8551 section 6).
	ErrDecrypt = errors.New("cms: decryption failed")
	// ErrDevice: what holds the key, such as a token, could not be asked. A key
	// wraps it in its errors to say so; trying again later may help. It must
	// not depend on what the token was given to decrypt.
	ErrDevice = errors.New("cms: the device that holds the key does not answer")
	// ErrSignature: the signature does not verify.
	ErrSignature = errors.New("cms: bad signature")
	// ErrDigest: the content is not what was signed.
	ErrDigest = errors.New("cms: content was changed")
	// ErrAttributes: the signed attributes are absent or break a rule of
	// RFC 5652 section 11 or RFC 8551 section 2.5.
	ErrAttributes = errors.New("cms: bad signed attributes")
	// ErrNoCertificate: the signer's certificate is not at hand.
	ErrNoCertificate = errors.New("cms: no certificate of the signer")
	// ErrCertificate: the signer's certificate came with the message and cannot
	// be read.
	ErrCertificate = errors.New("cms: the signer's certificate cannot be read")
)

// malformed returns an error of kind ErrMalformed.
func malformed(format string, args ...any) error { return kindError(ErrMalformed, format, args) }

// unsupported returns an error of kind ErrUnsupported.
func unsupported(format string, args ...any) error { return kindError(ErrUnsupported, format, args) }

// weak returns an error of kind ErrWeak.
func weak(format string, args ...any) error { return kindError(ErrWeak, format, args) }

// tooBig returns an error of kind ErrTooBig.
func tooBig(format string, args ...any) error { return kindError(ErrTooBig, format, args) }

// badAttributes returns an error of kind ErrAttributes.
func badAttributes(format string, args ...any) error { return kindError(ErrAttributes, format, args) }

// badKey returns an error of kind ErrKey.
func badKey(format string, args ...any) error { return kindError(ErrKey, format, args) }

func kindError(kind error, format string, args []any) error {
	return fmt.Errorf("%w: %s", kind, fmt.Sprintf(format, args...))
}
