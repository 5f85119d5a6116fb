package cms

// maxRecipientsRead caps the recipients of a message that is read.
const maxRecipientsRead = 10000

// EnvelopedData is a parsed EnvelopedData (RFC 5652 section 6) or
// AuthEnvelopedData (RFC 5083). It refers to the bytes it was parsed from,
// or to the spool of ReadEnvelopedData.
type EnvelopedData struct {
	// Type is TypeEnveloped or TypeAuthEnveloped.
	Type Type
	// Cipher is the content encryption, or a dotted object identifier that is
	// not Cipher.Known.
	Cipher Cipher
	// Authenticated says that the content can not have been changed by someone
	// who does not know the key.
	Authenticated bool
	// DerivedKey says that the content key is derived from what the recipients got
	// and from Cipher (RFC 9709), so that an attacker cannot name another cipher.
	DerivedKey bool
	// ContentType is the type of the plaintext.
	ContentType Type
	// Recipients are those who can decrypt, in the order of the message; each
	// of several keys in one key agreement counts.
	Recipients []RecipientInfo

	ber []byte
	alg algorithm
	// derivedFor is the AlgorithmIdentifier of the cipher, in DER, if DerivedKey.
	derivedFor []byte
	content    *Content
	spooled    *spooled // the content of ReadEnvelopedData
	attrs      []byte   // authAttrs under their [1] tag; nil where absent
	mac        []byte
	typeOID    []byte
	beside     [][]byte // what is neither encrypted nor needed to decrypt
}

// ParseEnvelopedData reads a ContentInfo with EnvelopedData or
// AuthEnvelopedData, in BER or DER.
func ParseEnvelopedData(ber []byte) (*EnvelopedData, error) {
	c := newCursor(ber)
	e := &EnvelopedData{ber: ber}
	e.Type = c.open(TypeEnveloped, TypeAuthEnveloped)
	c.enter(tagSequence)
	c.small() // version: says nothing that the parts do not
	if c.peek() == tagContext0 {
		e.beside = append(e.beside, c.raw()) // originatorInfo: certificates for static key agreement
	}
	if err := e.readRecipients(c); err != nil {
		return nil, err
	}
	e.readContent(c)
	if e.Type == TypeAuthEnveloped {
		if c.peek() == tagContext0+1 {
			e.attrs = c.raw()
		}
		e.mac = c.octetBytes(tagOctetString)
		if c.peek() == tagContext0+2 {
			e.beside = append(e.beside, c.raw()) // unauthenticated attributes
		}
	} else if c.peek() == tagContext0+1 {
		e.beside = append(e.beside, c.raw()) // unprotected attributes
	}
	c.leave()
	c.close()
	if c.err != nil {
		return nil, c.err
	}
	return e, nil
}

// readContent reads EncryptedContentInfo.
func (e *EnvelopedData) readContent(c *cursor) {
	c.enter(tagSequence)
	e.typeOID = c.primitive(tagOID)
	e.alg = c.algorithm()
	if t := c.peek(); t == tagContext || t == tagContext0 {
		content := c.octets(tagContext)
		e.content = &content
	}
	c.leave()
	if c.err != nil {
		return
	}
	if c.err = e.readDerivation(); c.err != nil {
		return
	}
	e.ContentType = typeOf(e.typeOID)
	e.Cipher = Cipher(e.alg.String())
	if s := cipherByOID(e.alg.oid); s != nil {
		e.Cipher = s.name
		e.Authenticated = s.aead && e.Type == TypeAuthEnveloped
	}
}
