package cms

import "errors"

// The bounds on what surrounds a ciphertext. No message needs more, and more could be
// a text.
const (
	maxIssuer    = 4 << 10
	maxShort     = 64  // serial numbers, key identifiers, user key material
	maxParams    = 160 // of an algorithm for keys
	maxKeyInfo   = 2 << 10
	minKeyInfo   = 24  // AES key wrap of 16 octets (RFC 3394)
	minTransport = 128 // octets of an RSA ciphertext: 1024 bits
	maxTagged    = 64  // authenticated attributes: the content type alone
	textInKey    = 32  // how many octets of text are no accident
	textInBulk   = 48
)

var (
	errNobody     = errors.New("cms: an enveloped-data that no recipient can open")
	errBeside     = errors.New("cms: an enveloped-data with something readable beside the ciphertext")
	errText       = errors.New("cms: an enveloped-data of which the ciphertext is text")
	errImpossible = errors.New("cms: an enveloped-data with a ciphertext of a length that cannot be")
)

// Sound says why the object does not keep its content secret as far as anybody can
// tell without a key; nil if it does. An object of the right form may hold a text
// under the name of a cipher, or beside it.
func (e *EnvelopedData) Sound() error {
	if _, err := e.opener(DecryptOptions{AllowWeak: true}); err != nil {
		return err
	}
	switch {
	case len(e.beside) > 0 || len(e.attrs) > maxTagged:
		return errBeside
	case !e.plausible():
		return errImpossible
	}
	usable := false
	for i := range e.Recipients {
		r := &e.Recipients[i]
		if !r.short() {
			return errBeside
		}
		usable = usable || r.plausible()
	}
	if !usable {
		return errNobody
	}
	if looksLikeText(textInBulk, e.ciphertextChunks()) {
		return errText
	}
	return nil
}

// ciphertextChunks iterates over the ciphertext.
func (e *EnvelopedData) ciphertextChunks() func(yield func([]byte) bool) {
	if e.spooled != nil {
		return e.spooled.chunks
	}
	return e.content.Chunks()
}

// ciphertextSize returns its number of octets.
func (e *EnvelopedData) ciphertextSize() int64 {
	if e.spooled != nil {
		return e.spooled.size
	}
	return int64(e.content.size)
}

// plausible reports whether the ciphertext can be one of its cipher: one in a
// block mode is a number of whole blocks (RFC 5652 section 6.3).
func (e *EnvelopedData) plausible() bool {
	spec := cipherByOID(e.alg.oid)
	block := int64(16)
	switch {
	case e.ciphertextSize() == 0:
		return false
	case spec.aead:
		return true
	case spec.weak:
		block = 8 // 3DES and RC2
	}
	if spec.name != RC2 { // whose parameters the opener has read
		in := newCursor(e.alg.params)
		if int64(len(in.primitive(tagOctetString))) != block {
			return false
		}
	}
	return e.ciphertextSize()%block == 0
}

// plausible reports whether the recipient info can lead to the content key.
func (r *RecipientInfo) plausible() bool {
	if r.Unsupported != "" {
		return false
	}
	if r.kind == transportKind {
		return len(r.encrypted) >= minTransport
	}
	return len(r.encrypted) >= minKeyInfo
}

// short reports whether the recipient info has no room for a text, and none in
// what must be ciphertext.
func (r *RecipientInfo) short() bool {
	d := r.derivation
	if d == nil {
		d = new(derivation)
	}
	id := &r.ID
	return len(id.RawIssuer) <= maxIssuer && len(id.Serial) <= maxShort && len(id.SubjectKeyID) <= maxShort &&
		len(d.ukm) <= maxShort && len(d.rawWrap) <= maxParams && len(d.kdf.params) <= maxParams &&
		len(d.originator.params) <= maxParams && len(r.alg.params) <= maxParams && len(r.encrypted) <= maxKeyInfo &&
		!looksLikeText(textInKey, one(r.encrypted)) && !looksLikeText(textInKey, one(d.ciphertext))
}

// one iterates over one chunk.
func one(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) { yield(b) }
}

// looksLikeText reports whether there are n octets of ASCII text on end, or eight
// times as many of text in another charset; zero octets between them are those of
// UTF-16. In a ciphertext that is less likely than a guess of its key.
func looksLikeText(n int, chunks func(yield func([]byte) bool)) bool {
	ascii, other := 0, 0
	for chunk := range chunks {
		for _, c := range chunk {
			switch {
			case c >= ' ' && c < 0x7f || c == '\r' || c == '\n' || c == '\t' || c == 0:
				ascii++
				other++
			case c >= 0x80:
				ascii = 0
				other++
			default:
				ascii, other = 0, 0
			}
			if ascii >= n || other >= 8*n {
				return true
			}
		}
	}
	return false
}
