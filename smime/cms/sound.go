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
	ascii, other := runs{octets: &asciiOctets, n: n}, runs{octets: &textOctets, n: 8 * n}
	for chunk := range chunks {
		if ascii.found(chunk) || other.found(chunk) {
			return true
		}
	}
	return false
}

// asciiOctets are those of ASCII text, textOctets those of any text.
var asciiOctets, textOctets = func() (ascii, text [256]bool) {
	for c := range 256 {
		ascii[c] = c >= ' ' && c < 0x7f || c == '\r' || c == '\n' || c == '\t' || c == 0
		text[c] = ascii[c] || c >= 0x80
	}
	return ascii, text
}()

// runs looks for n octets of a kind on end. It looks at the last of each n first: what
// breaks a run there breaks all that it could be in, so that most octets of a ciphertext
// need no look.
type runs struct {
	octets *[256]bool
	n      int
	before int // the length of the run at the end of the last chunk
}

// found reports whether there is such a run up to the end of chunk.
func (r *runs) found(chunk []byte) bool {
	start := -r.before // of the run that may become long enough
	for start+r.n <= len(chunk) {
		i := r.breakBefore(chunk, start, start+r.n)
		if i < 0 {
			return true
		}
		start = i + 1
	}
	if i := r.breakBefore(chunk, start, len(chunk)); i >= 0 {
		start = i + 1
	}
	r.before = len(chunk) - start
	return false
}

// breakBefore returns the place of the last octet of another kind from start to end, -1 if
// there is none.
func (r *runs) breakBefore(chunk []byte, start, end int) int {
	for i := end - 1; i >= max(start, 0); i-- {
		if !r.octets[chunk[i]] {
			return i
		}
	}
	return -1
}
