// Package scep is the Simple Certificate Enrolment Protocol (RFC 8894): a provider that asks
// a server, and a server for the built-in authority. Contents are encrypted with AES and signed with SHA-256; DES, Triple-DES, MD5 and
// SHA-1, which the protocol once had, are refused.
package scep

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// kind is a messageType (RFC 8894 section 3.2.1.2).
type kind string

const (
	certRep    kind = "3"
	renewalReq kind = "17"
	pkcsReq    kind = "19"
	certPoll   kind = "20"
)

// Values of pkiStatus (section 3.2.1.3).
const (
	success = "0"
	failure = "2"
	pending = "3"
)

// failTexts say what a failInfo means (section 3.2.1.4).
var failTexts = map[string]string{
	"0": "an algorithm is not supported", "1": "the signature or the decryption failed", "2": "the request is not permitted",
	"3": "the signing time is too far from its own", "4": "no certificate is known by these names",
}

// The signed attributes (section 3.2.1).
var (
	oidMessageType    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 2}
	oidStatus         = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 3}
	oidFailInfo       = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 4}
	oidSenderNonce    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 5}
	oidRecipientNonce = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 6}
	oidTransaction    = asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, 7}
	oidFailText       = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 24, 1}
)

const (
	// nonceSize is that of the nonces (section 3.2.1.5), in octets.
	nonceSize = 16
	// maxText bounds what is kept of another's text.
	maxText = 200
)

// message is a pkiMessage (section 3.2).
type message struct {
	kind        kind
	transaction string
	sender      []byte // nonces
	recipient   []byte
	status      string // of certRep alone, as fail and text
	fail, text  string
	// content is the pkcsPKIEnvelope, a ContentInfo; nil without.
	content []byte
	// signer is the certificate of the one who sent it; that its key signed is known, and
	// no more.
	signer *x509.Certificate
}

// party is one who sends and receives messages.
type party struct {
	certificate *x509.Certificate
	key         keyRSA
}

// keyRSA is an RSA key, in memory or in a token.
type keyRSA interface {
	crypto.Signer
	crypto.Decrypter
}

// newNonce returns a senderNonce.
func newNonce() []byte {
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // it never fails
	return nonce
}

// encode signs a message. It has the attributes of the protocol and none of S/MIME's own,
// which some servers do not pass over.
func (m *message) encode(by *party) ([]byte, error) {
	var list []cms.Attribute
	var errs []error
	add := func(id asn1.ObjectIdentifier, value any) {
		a, err := cms.NewAttribute(id, value)
		list, errs = append(list, a), append(errs, err)
	}
	add(oidMessageType, string(m.kind))
	add(oidTransaction, m.transaction)
	add(oidSenderNonce, m.sender)
	if m.recipient != nil {
		add(oidRecipientNonce, m.recipient)
	}
	if m.status != "" {
		add(oidStatus, m.status)
	}
	if m.fail != "" {
		add(oidFailInfo, m.fail)
	}
	if m.text != "" {
		add(oidFailText, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(m.text)})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	o, err := cms.Sign(cms.SignRequest{
		Content: [][]byte{m.content}, Detached: m.content == nil,
		Signers: []cms.Signer{{
			Certificate: by.certificate, Key: by.key, Digest: crypto.SHA256, Ciphers: []cms.Cipher{},
			OmitSigningCertificate: true, OmitAlgorithmProtection: true, Attributes: list,
		}},
	})
	if err != nil {
		return nil, err
	}
	return o.Bytes(), nil
}

// parse reads a message and checks that its signer signed it. known are certificates that need
// not come with it.
func parse(der []byte, known []*x509.Certificate) (*message, error) {
	signed, err := cms.ParseSignedData(der)
	if err != nil {
		return nil, err
	}
	if signed.Signers() != 1 {
		return nil, fmt.Errorf("the message has %d signers, not one", signed.Signers())
	}
	m := new(message)
	o := cms.VerifyOptions{Certificates: known}
	if signed.Content != nil {
		m.content = signed.Content.Bytes()
	} else {
		o.Content = [][]byte{{}} // section 3.2: an answer without certificates has none
	}
	result := signed.Verify(o)[0]
	if result.Err != nil {
		return nil, fmt.Errorf("the signature of the message: %w", result.Err)
	}
	m.signer = result.Certificate
	if len(m.content) == 0 {
		m.content = nil
	}
	return m, m.read(result.SignedAttributes())
}

// read takes what the signature covers.
func (m *message) read(list []cms.Attribute) error {
	for _, a := range list {
		if len(a.Values) != 1 {
			continue
		}
		var err error
		value := a.Values[0]
		switch {
		case a.Type.Equal(oidMessageType):
			m.kind, err = readText[kind](value)
		case a.Type.Equal(oidTransaction):
			m.transaction, err = readText[string](value)
		case a.Type.Equal(oidStatus):
			m.status, err = readText[string](value)
		case a.Type.Equal(oidFailInfo):
			m.fail, err = readText[string](value)
		case a.Type.Equal(oidFailText):
			m.text, err = readText[string](value)
			m.text = printable.Clip(m.text, maxText)
		case a.Type.Equal(oidSenderNonce):
			_, err = asn1.Unmarshal(value, &m.sender)
		case a.Type.Equal(oidRecipientNonce):
			_, err = asn1.Unmarshal(value, &m.recipient)
		}
		if err != nil {
			return fmt.Errorf("attribute %v of the message is malformed", a.Type)
		}
	}
	if m.kind == "" || m.transaction == "" {
		return errors.New("the message has no type or no transaction")
	}
	return nil
}

func readText[T ~string](der []byte) (T, error) {
	var text string
	_, err := asn1.Unmarshal(der, &text)
	return T(text), err
}

// seal encrypts what a message carries, with AES in CBC mode, which all who know AES have
// (section 3.5.2).
func seal(content []byte, to *x509.Certificate) ([]byte, error) {
	o, err := cms.Encrypt(cms.EncryptRequest{
		Content: [][]byte{content}, Recipients: []*x509.Certificate{to}, Cipher: cms.AES128CBC, KeyTransport: cms.PKCS1,
	})
	if err != nil {
		return nil, err
	}
	return o.Bytes(), nil
}

// open decrypts what a message carries.
func (m *message) open(by *party) ([]byte, error) {
	return m.openWith(func(rid cms.ID) []*party {
		if len(rid.Serial) > 0 && pkix.Integer(rid.Serial).Cmp(by.certificate.SerialNumber) != 0 {
			return nil
		}
		return []*party{by}
	})
}

// openWith decrypts what a message carries with one of the keys that find knows for a
// recipient.
func (m *message) openWith(find func(rid cms.ID) []*party) ([]byte, error) {
	if m.content == nil {
		return nil, errors.New("the message is empty")
	}
	e, err := cms.ParseEnvelopedData(m.content)
	if err != nil {
		return nil, err
	}
	err = errors.New("the message is encrypted to others")
	for i := range e.Recipients[:min(maxRecipients, len(e.Recipients))] {
		for _, by := range find(e.Recipients[i].ID) {
			var content []byte
			if content, err = e.Decrypt(i, by.key, cms.DecryptOptions{}); err == nil {
				return content, nil
			}
		}
	}
	return nil, err
}

// maxRecipients is how many recipients of a message are looked at: it has one.
const maxRecipients = 3
