package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"math"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// maxStreamHead is more than what is in front of a content.
const maxStreamHead = 1 << 28

// maxRecipientsWritten caps the recipients of a message that we write.
const maxRecipientsWritten = 2000

// KeyTransport says how RSA carries the content key. For other keys there is
// nothing to choose.
type KeyTransport string

// The key transports. AutoTransport is PKCS1, which all programs read, or OAEP with
// GODEBUG=fips140=only.
const (
	PKCS1         KeyTransport = "pkcs1"
	OAEP          KeyTransport = "oaep"
	AutoTransport KeyTransport = "auto"
)

// EncryptRequest says what to encrypt, to whom, and how.
type EncryptRequest struct {
	// Content is what is encrypted, in pieces that count as joined. One piece
	// saves a copy with authenticated ciphers. It must not change as long as
	// the Object is used: the key and the nonce stay the same each time that
	// it is written.
	Content [][]byte
	// Recipients are the certificates that can decrypt.
	Recipients []*x509.Certificate
	// Cipher is AES256CBC where it is "". An authenticated one makes
	// AuthEnvelopedData, the others EnvelopedData.
	Cipher Cipher
	// KeyTransport is AutoTransport where it is "".
	KeyTransport KeyTransport
	// OAEPHash is SHA-1, SHA-256, SHA-384 or SHA-512; 0 is SHA-256.
	OAEPHash crypto.Hash
	// DeriveKey derives the content key with HKDF from what the recipients get, and
	// from the cipher (RFC 9709): an attacker cannot name another cipher in the message.
	// Few programs read it.
	DeriveKey bool
	// UseSKI names recipients by their subject key identifier.
	UseSKI bool
}

// Encrypt makes EnvelopedData (RFC 5652 section 6) or AuthEnvelopedData (RFC
// 5083). The content is encrypted when the Object is written.
func Encrypt(r EncryptRequest) (*Object, error) { return r.object(totalSize(r.Content)) }

// EncryptStream writes to w what Encrypt makes of all that content gives, in place of
// r.Content, through a small buffer. size is how many octets that will be, for an object
// in DER as all programs read it; where that is not known it is negative, and the object
// is BER of indefinite length, as OpenSSL writes streams. After an error w has a part of
// an object, which must not be used.
func EncryptStream(w io.Writer, r EncryptRequest, content io.Reader, size int64) error {
	switch {
	case r.Content != nil:
		return unsupported("a stream beside a content")
	case size > math.MaxInt-maxStreamHead:
		return tooBig("content of %d octets", size)
	case fips140.Enforced() && r.Cipher.Authenticated():
		return notApproved("an authenticated cipher of a stream")
	}
	o, err := r.object(int(max(size, -1)))
	if err != nil {
		return err
	}
	return o.stream(w, content)
}

// object makes the object for a content of the size given.
func (r *EncryptRequest) object(size int) (*Object, error) {
	spec, err := r.defaults()
	if err != nil {
		return nil, err
	}
	switch n := len(r.Recipients); {
	case n == 0:
		return nil, unsupported("no recipients")
	case n > maxRecipientsWritten:
		return nil, tooBig("%d recipients", n)
	}
	key := make([]byte, spec.key)
	rand.Read(key)
	e := encrypter{request: r, spec: spec, key: key, ephemeral: make(map[ecdh.Curve]*ecdh.PrivateKey), brainpools: make(map[string]*pkix.Ephemeral)}
	infos := newSetOf(512 * len(r.Recipients))
	for _, cert := range r.Recipients {
		if err := e.recipient(&infos.builder, cert); err != nil {
			return nil, &RecipientError{Certificate: cert, err: err}
		}
		infos.next()
	}
	return e.object(infos.bytes(tagSet), size)
}

// defaults fills in what was not chosen, and refuses what can not be.
func (r *EncryptRequest) defaults() (*cipherSpec, error) {
	if r.Cipher == "" {
		r.Cipher = AES256CBC
	}
	if r.KeyTransport == "" || r.KeyTransport == AutoTransport {
		r.KeyTransport = defaultTransport()
	}
	if r.OAEPHash == 0 {
		r.OAEPHash = crypto.SHA256
	}
	spec := r.Cipher.spec()
	switch {
	case spec == nil || spec.weak:
		return nil, unsupported("cipher %q for writing", string(r.Cipher))
	case r.KeyTransport != PKCS1 && r.KeyTransport != OAEP:
		return nil, unsupported("key transport %q", string(r.KeyTransport))
	case r.OAEPHash != crypto.SHA1 && !sendable(r.OAEPHash):
		return nil, unsupported("OAEP with %s", DigestName(r.OAEPHash))
	}
	if err := approvedDigest(r.OAEPHash); err != nil {
		return nil, err
	}
	return spec, spec.approved()
}

// An encrypter makes the recipient infos of one content key.
type encrypter struct {
	request *EncryptRequest
	spec    *cipherSpec
	key     []byte
	version int // of EnvelopedData
	// ephemeral are our keys for agreement, one for each curve: the
	// recipients of a message may see that it is the same (RFC 5753 section
	// 3.1 has one for many recipients).
	ephemeral  map[ecdh.Curve]*ecdh.PrivateKey
	brainpools map[string]*pkix.Ephemeral // by the curve's name
}

// A RecipientError is why Encrypt failed for one recipient; the message can be
// encrypted to the others. It wraps one of the errors of this package.
type RecipientError struct {
	Certificate *x509.Certificate
	err         error
}

// Error names the certificate and says why nothing can be encrypted to it.
func (e *RecipientError) Error() string {
	return fmt.Sprintf("%v, recipient %q", e.err, pkix.SubjectString(e.Certificate))
}

// Unwrap returns why.
func (e *RecipientError) Unwrap() error { return e.err }

// recipient appends the RecipientInfo for a certificate. The kind of key decides.
func (e *encrypter) recipient(b *builder, cert *x509.Certificate) error {
	if e.request.UseSKI && len(cert.SubjectKeyId) == 0 {
		return unsupported("no subject key identifier")
	}
	pub, err := publicKey(cert)
	if err != nil {
		return err
	}
	if err := keyError(pkix.CheckEncryptionKey(pub)); err != nil {
		return err
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return e.keyTransport(b, cert, k)
	case *ecdsa.PublicKey:
		p, err := k.ECDH()
		if err != nil {
			return unsupported("%v", err)
		}
		return e.keyAgreement(b, cert, p)
	case *ecdh.PublicKey:
		return e.keyAgreement(b, cert, k)
	case *pkix.BrainpoolKey:
		return e.brainpool(b, cert, k)
	case *pkix.KEMKey:
		return e.encapsulation(b, cert, k)
	}
	return unsupported("the key is for signing only")
}

// object puts the parts around the ciphertext.
func (e *encrypter) object(recipients []byte, size int) (*Object, error) {
	o := &Object{content: e.request.Content, size: size}
	algorithm, size, err := e.arm(o)
	if err != nil {
		return nil, err
	}
	front, info := make(builder, 0, len(recipients)+8), make(builder, 0, 80)
	if e.spec.aead {
		e.version = 0 // RFC 5083 section 2.1
	}
	front.int(e.version)
	front.raw(recipients)
	info.oid(oidData)
	info.raw(algorithm)

	l := newLayout(size)
	l.header(tagContext) // [0] IMPLICIT OCTET STRING, in parts where the size is not known
	l.prepend(info)
	l.header(tagSequence)
	if e.spec.aead {
		l.size += macHeader + tagSize
	}
	l.prepend(front)
	if e.spec.aead {
		l.wrap(oidAuthEnvelopedData)
	} else {
		l.wrap(oidEnvelopedData)
	}
	o.head = l.bytes()
	return o, nil
}

// arm gives the object its cipher with a fresh IV or nonce, and returns
// contentEncryptionAlgorithm and the size of the ciphertext.
func (e *encrypter) arm(o *Object) (algorithm []byte, size int, err error) {
	if e.spec.aead && fips140.Enforced() {
		return e.sealNow(o)
	}
	if e.spec.aead {
		o.nonce = make([]byte, nonceSize)
		rand.Read(o.nonce)
		algorithm, key, err := e.contentEncryption(e.spec.aeadParams(o.nonce))
		if err != nil {
			return nil, 0, err
		}
		o.spec, o.key = e.spec, key
		o.aead, err = e.spec.newAEAD(key, nonceSize, tagSize)
		return algorithm, o.size, err
	}
	o.iv = make([]byte, aes.BlockSize) // of every block cipher that is written
	rand.Read(o.iv)
	var params builder
	params.tlv(tagOctetString, o.iv)
	algorithm, key, err := e.contentEncryption(params)
	if err != nil {
		return nil, 0, err
	}
	o.block, err = e.spec.block(key)
	if o.size < 0 {
		return algorithm, o.size, err
	}
	return algorithm, paddedSize(o.size, len(o.iv)), err
}

// sealNow is arm with GODEBUG=fips140=only: the nonce is only known once the content
// was sealed, and the key cannot be derived from it then.
func (e *encrypter) sealNow(o *Object) (algorithm []byte, size int, err error) {
	if e.request.DeriveKey {
		return nil, 0, notApproved("AES-GCM with a key derived from its nonce (RFC 9709)")
	}
	aead, err := e.spec.newAEAD(e.key, nonceSize, tagSize)
	if err != nil {
		return nil, 0, err
	}
	gcm, ok := aead.(approvedGCM)
	if !ok {
		return nil, 0, notApproved("cipher " + string(e.spec.name))
	}
	o.nonce, o.sealed = gcm.seal(o.content)
	o.aead = gcm
	algorithm, _, err = e.contentEncryption(e.spec.aeadParams(o.nonce))
	return algorithm, o.size, err
}

// keyTransport appends KeyTransRecipientInfo (RFC 5652 section 6.2.1).
func (e *encrypter) keyTransport(b *builder, cert *x509.Certificate, pub *rsa.PublicKey) error {
	encrypted, err := e.transport(pub)
	if err != nil {
		return err
	}
	m := b.open(tagSequence)
	if e.request.UseSKI {
		b.int(2)
		e.version = max(e.version, 2)
	} else {
		b.int(0)
	}
	b.identifier(cert, e.request.UseSKI)
	if e.request.KeyTransport == OAEP {
		b.algorithm(oidOAEP, oaepParams(e.request.OAEPHash))
	} else {
		b.algorithm(oidRSA, null())
	}
	b.tlv(tagOctetString, encrypted)
	b.close(m)
	return nil
}

// transport encrypts the content key with RSA.
func (e *encrypter) transport(pub *rsa.PublicKey) (encrypted []byte, err error) {
	if err := approvedTransport(e.request.KeyTransport); err != nil {
		return nil, err
	}
	if e.request.KeyTransport == OAEP {
		encrypted, err = rsa.EncryptOAEP(e.request.OAEPHash.New(), rand.Reader, pub, e.key, nil)
	} else {
		// RFC 8551 section 2.3 demands it, many can read nothing else.
		encrypted, err = rsa.EncryptPKCS1v15(rand.Reader, pub, e.key)
	}
	if err != nil {
		return nil, badKey("%v", err)
	}
	return encrypted, nil
}
