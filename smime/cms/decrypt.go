package cms

import (
	"crypto"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"slices"
)

// DecryptOptions are the choices of Decrypt.
type DecryptOptions struct {
	// AllowWeak opens 3DES and RC2 and uses RSA keys from 1024 bits.
	AllowWeak bool
	// InPlace lets Decrypt overwrite the bytes that the object was parsed
	// from, which saves a second buffer. The object is spent then, also after
	// a failure.
	InPlace bool

	to io.Writer // of DecryptTo
}

// Decrypt opens the content with the key of recipient i. The key is a
// crypto.Decrypter (RSA), an ecdh.KeyExchanger or *ecdsa.PrivateKey, or a
// crypto.Decapsulator (ML-KEM).
//
// ErrUnsupported, ErrWeak, ErrNotApproved and ErrKey depend on what the message says openly and
// on the kind of key, ErrDevice on the device that holds the key. Everything
// else is ErrDecrypt: where a content key can
// not be recovered, a random one takes its place and the content is tried all
// the same (RFC 3218 section 2.3.2). Nothing of the plaintext is returned
// before its tag or its padding was checked.
func (e *EnvelopedData) Decrypt(i int, key crypto.PrivateKey, o DecryptOptions) ([]byte, error) {
	if e.spooled != nil {
		return e.inMemory(i, key, o)
	}
	return e.decrypt(i, key, o)
}

// decrypt returns the plaintext, or writes it to o.to where the object is spooled.
func (e *EnvelopedData) decrypt(i int, key crypto.PrivateKey, o DecryptOptions) ([]byte, error) {
	if i < 0 || i >= len(e.Recipients) {
		return nil, badKey("no recipient %d", i)
	}
	opener, err := e.opener(o)
	if err != nil {
		return nil, err
	}
	r := &e.Recipients[i]
	if r.Unsupported != "" {
		return nil, unsupported("%s", r.Unsupported)
	}
	contentKey := make([]byte, opener.keySize)
	rand.Read(contentKey)
	found, err := r.contentKey(key, opener.keySize, o)
	if err != nil {
		return nil, err
	}
	if len(found) == len(contentKey) {
		copy(contentKey, found)
	}
	return opener.open(contentKey)
}

// contentKey recovers the content key; nil means that it could not. An error
// says that key is of the wrong kind or that its device does not answer.
func (r *RecipientInfo) contentKey(key crypto.PrivateKey, size int, o DecryptOptions) ([]byte, error) {
	switch r.kind {
	case transportKind:
		return r.transported(key, size, o)
	case agreementKind:
		if r.wrap.is(oidWrapDES3) && !o.AllowWeak {
			return nil, weak("key wrap 3des")
		}
		if err := r.approvedAgreement(); err != nil {
			return nil, err
		}
		return r.agreed(key)
	case kemKind:
		return r.decapsulated(key)
	}
	return nil, unsupported("%s", r.KeyManagement)
}

// transported undoes RSA key transport. Implicit rejection is ours: see Decrypt.
func (r *RecipientInfo) transported(key crypto.PrivateKey, size int, o DecryptOptions) ([]byte, error) {
	d, ok := key.(crypto.Decrypter)
	if !ok {
		return nil, badKey("%T can not decrypt", key)
	}
	pub, ok := d.Public().(*rsa.PublicKey)
	if !ok {
		return nil, badKey("%T is not an RSA key", key)
	}
	if err := checkKey(pub, minRSABits(o.AllowWeak)); err != nil {
		return nil, err
	}
	if !r.alg.is(oidOAEP) {
		if err := approvedTransport(PKCS1); err != nil {
			return nil, err
		}
	}
	opts := pkcs1Options(d, size)
	if r.alg.is(oidOAEP) {
		oaep, err := oaepOf(r.alg.params)
		if err != nil {
			return nil, err
		}
		opts = oaep
	}
	found, err := d.Decrypt(rand.Reader, r.encrypted, opts)
	if errors.Is(err, ErrDevice) {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	return found, nil
}

// pkcs1Options asks a key in memory to put a random key in the place of a bad
// one by itself, in constant time. A token cannot do that, and drivers refuse
// every caller: there it is for Decrypt alone.
func pkcs1Options(key crypto.Decrypter, size int) crypto.DecrypterOpts {
	if _, ok := key.(*rsa.PrivateKey); !ok {
		size = 0
	}
	// RFC 8551 section 2.3 demands it.
	return &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}
}

// approvedAgreement refuses what GODEBUG=fips140=only forbids.
func (r *RecipientInfo) approvedAgreement() error {
	if fips140.Enforced() && (r.wrap.is(oidWrapDES3) || r.originator.is(oidX25519)) {
		return notApproved("key agreement " + string(r.KeyManagement))
	}
	kdf, _ := kdfOf(r.alg.oid)
	return approvedDigest(kdf.hash)
}

// agreed undoes key agreement.
func (r *RecipientInfo) agreed(key crypto.PrivateKey) ([]byte, error) {
	secret, err := agree(key, r.originator, r.point)
	if errors.Is(err, ErrDecrypt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	kdf, _ := kdfOf(r.alg.oid)
	size := wrapSize(r.wrap)
	kek, err := kdf.derive(secret, r.ukm, sharedInfo(r.rawWrap, r.ukm, size), size)
	if err != nil {
		return nil, nil
	}
	return r.unwrapped(kek), nil
}

// decapsulated undoes key encapsulation.
func (r *RecipientInfo) decapsulated(key crypto.PrivateKey) ([]byte, error) {
	d, ok := key.(crypto.Decapsulator)
	if !ok {
		return nil, badKey("%T can not decapsulate", key)
	}
	secret, err := d.Decapsulate(r.ciphertext)
	if errors.Is(err, ErrDevice) {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	info := kemInfo(r.rawWrap, r.ukm, r.kekSize)
	kek, err := hkdf.Key(hkdfOf(r.kdf).New, secret, nil, string(info), r.kekSize)
	if err != nil {
		return nil, nil
	}
	return r.unwrapped(kek), nil
}

// unwrapped returns the content key, nil if the wrap does not fit.
func (r *RecipientInfo) unwrapped(kek []byte) []byte {
	unwrap := unwrapKey
	if r.wrap.is(oidWrapDES3) {
		unwrap = unwrapDES
	}
	key, ok := unwrap(kek, r.encrypted)
	if !ok {
		return nil
	}
	return key
}

// An opener decrypts the content once the key is known.
type opener struct {
	keySize int
	open    func(key []byte) ([]byte, error)
}

// opener checks all that the message says openly about its content encryption.
func (e *EnvelopedData) opener(o DecryptOptions) (opener, error) {
	opener, err := e.cipherOpener(o)
	if err != nil {
		return opener, err
	}
	return e.derived(opener), nil
}

// cipherOpener is opener for the key of the cipher itself.
func (e *EnvelopedData) cipherOpener(o DecryptOptions) (opener, error) {
	spec := cipherByOID(e.alg.oid)
	switch {
	case spec == nil:
		return opener{}, unsupported("cipher %s", e.Cipher)
	case spec.aead != (e.Type == TypeAuthEnveloped): // RFC 5084 section 3, RFC 5083 section 2.1
		return opener{}, unsupported("cipher %s in %s", e.Cipher, e.Type)
	case spec.weak && !o.AllowWeak:
		return opener{}, weak("cipher %s", e.Cipher)
	case spec.approved() != nil:
		return opener{}, spec.approved()
	case e.content == nil:
		return opener{}, unsupported("detached ciphertext")
	case spec.aead:
		return e.aeadOpener(spec, o)
	case spec.name == RC2:
		return e.rc2Opener(o)
	}
	c := newCursor(e.alg.params)
	iv := c.primitive(tagOctetString)
	if c.err != nil {
		return opener{}, c.err
	}
	return opener{spec.key, func(key []byte) ([]byte, error) {
		return e.openCBC(key, iv, spec.block, o)
	}}, nil
}

func (e *EnvelopedData) openCBC(key, iv []byte, block func([]byte) (cipher.Block, error), o DecryptOptions) ([]byte, error) {
	b, err := block(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	if e.spooled != nil {
		return nil, e.spooled.openCBC(o.to, b, iv)
	}
	src, dst := e.ciphertext(o.InPlace, nil)
	return openCBC(dst, src, b, iv)
}

// aeadOpener opens AES-GCM (RFC 5084 section 3.2) and ChaCha20-Poly1305 (RFC
// 8103 section 3).
func (e *EnvelopedData) aeadOpener(spec *cipherSpec, o DecryptOptions) (opener, error) {
	nonce, tagLen, err := e.aeadParams(spec)
	if err != nil {
		return opener{}, err
	}
	if err := e.approvedAEAD(spec, nonce, tagLen); err != nil {
		return opener{}, err
	}
	covered, err := e.additionalData()
	if err != nil {
		return opener{}, err
	}
	if e.spooled != nil {
		return opener{spec.key, func(key []byte) ([]byte, error) {
			return nil, e.spooled.openAEAD(o.to, e.mac, covered, func(additional []byte) (*streamAEAD, error) {
				return spec.newStreamAEAD(key, nonce, additional)
			})
		}}, nil
	}
	return opener{spec.key, func(key []byte) ([]byte, error) {
		aead, err := spec.newAEAD(key, len(nonce), tagLen)
		if err != nil {
			return nil, ErrDecrypt
		}
		for i, aad := range covered {
			src, dst := e.ciphertext(o.InPlace && i == len(covered)-1, e.mac)
			if plain, err := aead.Open(dst[:0], nonce, src, aad); err == nil {
				return plain, nil
			}
		}
		return nil, ErrDecrypt
	}}, nil
}

// approvedAEAD refuses what GODEBUG=fips140=only forbids.
func (e *EnvelopedData) approvedAEAD(spec *cipherSpec, nonce []byte, tagLen int) error {
	switch {
	case fips140.Enforced() && e.spooled != nil:
		return notApproved("an authenticated cipher of a stream")
	case e.spooled != nil && e.spooled.size > maxStream:
		return tooBig("content of more than %d octets", int64(maxStream))
	}
	if _, err := spec.newAEAD(make([]byte, spec.key), len(nonce), tagLen); errors.Is(err, ErrNotApproved) {
		return err
	}
	return nil
}

// aeadParams returns the nonce and the size of the tag.
func (e *EnvelopedData) aeadParams(spec *cipherSpec) (nonce []byte, tagLen int, err error) {
	c := newCursor(e.alg.params)
	tagLen = tagSize
	if spec.name == ChaCha20Poly1305 {
		nonce = c.primitive(tagOctetString)
	} else {
		c.enter(tagSequence)
		nonce = c.primitive(tagOctetString)
		tagLen = 12 // RFC 5084 section 3.2
		if c.more() {
			tagLen = c.small()
		}
		c.leave()
	}
	switch {
	case c.err != nil:
		return nil, 0, c.err
	case tagLen < 12 || tagLen > tagSize || len(e.mac) != tagLen:
		return nil, 0, malformed("authentication tag of %d octets", len(e.mac))
	case len(nonce) == 0 || len(nonce) > 64 || len(nonce) != nonceSize && (tagLen != tagSize || spec.name == ChaCha20Poly1305):
		return nil, 0, unsupported("nonce of %d octets", len(nonce))
	}
	return nonce, tagLen, nil
}

// additionalData returns what the tag may cover besides the content: the forms of
// the authenticated attributes. A content other than data must be named by them.
func (e *EnvelopedData) additionalData() ([][]byte, error) {
	if e.attrs == nil {
		if e.ContentType != TypeData {
			return nil, malformed("content type %s without attributes", e.ContentType)
		}
		return [][]byte{nil}, nil
	}
	if len(e.attrs) > maxAttributes {
		return nil, tooBig("attributes of %d octets", len(e.attrs))
	}
	c := newCursor(e.attrs)
	c.enter(e.attrs[0])
	named := e.ContentType == TypeData
	for c.more() {
		oid, value, err := c.attribute()
		if err != nil {
			return nil, err
		}
		if string(oid) == oidContentType {
			in := newCursor(value)
			if named = string(in.primitive(tagOID)) == string(e.typeOID); !named {
				break
			}
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	if !named {
		return nil, malformed("content type differs from the attribute")
	}
	return slices.Collect(forms(e.attrs)), nil
}

// ciphertext returns the ciphertext with the mac behind it, where there is one,
// and memory for the plaintext: the same, or new. With inPlace it is the object's
// own, where pieces move towards the front, over headers that were read already.
func (e *EnvelopedData) ciphertext(inPlace bool, mac []byte) (src, dst []byte) {
	at, n := e.content.at, e.content.size
	switch {
	case inPlace && at+n+len(mac) <= len(e.ber):
		src = e.ber[at : at+n]
		if e.content.pieces {
			src = e.content.AppendTo(src[:0])
		}
		src = append(src, mac...)
	case e.content.pieces || mac != nil:
		src = append(e.content.AppendTo(make([]byte, 0, n+len(mac))), mac...)
	default:
		return e.content.src, make([]byte, n)
	}
	return src, src
}
