package cms

import "slices"

// readRecipients reads RecipientInfos.
func (e *EnvelopedData) readRecipients(c *cursor) error {
	c.enter(tagSet)
	for start := c.pos; c.more(); {
		e.Recipients = c.appendRecipient(e.Recipients)
		if len(e.Recipients) > maxRecipientsRead {
			return tooBig("more than %d recipients", maxRecipientsRead)
		}
		if len(e.Recipients) == 1 && c.err == nil { // the others will be of its size
			e.Recipients = slices.Grow(e.Recipients, min(c.left()/(c.pos-start), usualRecipients))
		}
	}
	c.leave()
	return c.err
}

// usualRecipients is for how many recipients memory is taken at once at the most.
const usualRecipients = 1000

// The kinds of RecipientInfo that can be opened.
type recipientKind int

const (
	otherKind recipientKind = iota
	transportKind
	agreementKind
	kemKind
)

// KeyManagement is a way for the content key to get to a recipient (RFC 5652 section
// 6.2).
type KeyManagement string

// The ways that this package knows.
const (
	KeyTransportPKCS1  KeyManagement = "rsa-pkcs1"
	KeyTransportOAEP   KeyManagement = "rsa-oaep"
	KeyAgreementECDH   KeyManagement = "ecdh"
	KeyAgreementX25519 KeyManagement = "x25519"
	MLKEM512           KeyManagement = "ml-kem-512"
	MLKEM768           KeyManagement = "ml-kem-768"
	MLKEM1024          KeyManagement = "ml-kem-1024"
)

// RecipientInfo says for whom, and how, the content key is encrypted.
type RecipientInfo struct {
	// ID names the recipient's certificate. It is empty where the key does not
	// belong to a certificate: a password, a shared key.
	ID ID
	// KeyManagement is one of the constants, or where Unsupported is set also a
	// dotted object identifier or another word.
	KeyManagement KeyManagement
	// Unsupported says why this recipient info can not be used, "" if it can.
	Unsupported string

	kind      recipientKind
	alg       algorithm // key encryption or KEM
	encrypted []byte    // the content key, or all of an info that is not read
	*derivation
}

// A derivation is what leads to the key that wraps the content key, in key
// agreement and key encapsulation.
type derivation struct {
	originator algorithm // agreement
	point      []byte
	ciphertext []byte // encapsulation
	kdf        algorithm
	kekSize    int
	ukm        []byte // nil where absent
	wrap       algorithm
	rawWrap    []byte
}

// appendRecipient reads one RecipientInfo, which for key agreement may serve
// several recipients.
func (c *cursor) appendRecipient(list []RecipientInfo) []RecipientInfo {
	switch c.peek() {
	case tagSequence:
		return append(list, c.keyTransport())
	case tagContext0 + 1:
		return c.appendAgreement(list)
	case tagContext0 + 4:
		return append(list, c.otherRecipient())
	case tagContext0 + 2:
		return append(list, RecipientInfo{KeyManagement: "key-encryption-key", Unsupported: "shared key", encrypted: c.raw()})
	case tagContext0 + 3:
		return append(list, RecipientInfo{KeyManagement: "password", Unsupported: "password", encrypted: c.raw()})
	}
	c.fail("unknown recipient info")
	return list
}

// keyTransport reads KeyTransRecipientInfo (RFC 5652 section 6.2.1).
func (c *cursor) keyTransport() (r RecipientInfo) {
	c.enter(tagSequence)
	c.small()
	r.ID = c.identifier()
	r.alg = c.algorithm()
	r.encrypted = c.octetBytes(tagOctetString)
	c.leave()
	r.kind = transportKind
	switch string(r.alg.oid) {
	case oidRSA:
		r.KeyManagement = KeyTransportPKCS1
	case oidOAEP:
		r.KeyManagement = KeyTransportOAEP
	default:
		r.unsupported(KeyManagement(r.alg.String()), "key transport algorithm")
	}
	return r
}

// unsupported marks r as one that can not be used.
func (r *RecipientInfo) unsupported(management KeyManagement, why string) {
	r.KeyManagement, r.Unsupported, r.kind = management, why, otherKind
}

// appendAgreement reads KeyAgreeRecipientInfo (RFC 5652 section 6.2.2).
func (c *cursor) appendAgreement(list []RecipientInfo) []RecipientInfo {
	r := RecipientInfo{kind: agreementKind, derivation: new(derivation)}
	c.enter(tagContext0 + 1)
	c.small()
	static := c.originator(&r)
	c.userKeyMaterial(&r, tagContext0+1)
	r.alg = c.algorithm()
	r.setAgreement(static)
	c.enter(tagSequence)
	for c.more() {
		if len(list) > maxRecipientsRead {
			return list // too long already
		}
		c.enter(tagSequence)
		r.ID = c.agreementID()
		r.encrypted = c.octetBytes(tagOctetString)
		c.leave()
		list = append(list, r)
	}
	c.leave()
	c.leave()
	return list
}

// userKeyMaterial reads UserKeyingMaterial under an explicit tag. It counts
// also where it is empty.
func (c *cursor) userKeyMaterial(r *RecipientInfo, tag byte) {
	if !c.optional(tag) {
		return
	}
	if r.ukm = c.octetBytes(tagOctetString); r.ukm == nil {
		r.ukm = []byte{}
	}
	c.leave()
}

// originator reads OriginatorIdentifierOrKey. Keys of the originator that are
// only named are not looked for: static says so.
func (c *cursor) originator(r *RecipientInfo) (static bool) {
	c.enter(tagContext0)
	if static = c.peek() != tagContext0+1; static {
		c.skip()
	} else {
		c.enter(tagContext0 + 1)
		r.originator = c.algorithm()
		bits := c.primitive(tagBitString)
		if c.err == nil && (len(bits) == 0 || bits[0] != 0) {
			c.fail("bad bit string")
		}
		if c.err == nil {
			r.point = bits[1:]
		}
		c.leave()
	}
	c.leave()
	return static
}

// agreementID reads KeyAgreeRecipientIdentifier.
func (c *cursor) agreementID() (id ID) {
	if c.peek() != tagContext0 {
		return c.issuerAndSerial(tagSequence)
	}
	c.enter(tagContext0)
	id.SubjectKeyID = c.octetBytes(tagOctetString)
	for c.more() {
		c.skip() // date and other: nothing here depends on them
	}
	c.leave()
	return id
}

// setAgreement looks at the algorithms of a key agreement.
func (r *RecipientInfo) setAgreement(static bool) {
	r.KeyManagement = KeyAgreementECDH
	if r.originator.is(oidX25519) {
		r.KeyManagement = KeyAgreementX25519
	}
	r.rawWrap = r.alg.params
	in := newCursor(r.rawWrap)
	r.wrap = in.algorithm()
	_, known := kdfOf(r.alg.oid)
	switch {
	case !known:
		r.unsupported(KeyManagement(r.alg.String()), "key agreement algorithm")
	case static:
		r.unsupported(KeyManagement(r.alg.String()), "static key agreement")
	case in.err != nil || wrapSize(r.wrap) == 0:
		r.unsupported(KeyManagement(r.alg.String()), "key wrap algorithm")
	}
}

// wrapSize returns the size of the key of a key wrap algorithm, 0 if it is
// unknown.
func wrapSize(a algorithm) int {
	switch string(a.oid) {
	case oidWrapAES128:
		return 16
	case oidWrapAES192, oidWrapDES3:
		return 24
	case oidWrapAES256:
		return 32
	}
	return 0
}
