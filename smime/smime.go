// Package smime turns messages into S/MIME messages and back (RFC 8551): it
// signs, encrypts, decrypts and verifies. It knows messages, keys and
// certificates, and no SMTP.
//
// What it makes passes mail relays unchanged: 7-bit, short lines, CRLF. What it
// reads is hashed as it was received. The layers of a message are opened from
// the outside inwards as long as each is the whole of the one around it; a
// signature or a ciphertext that is only a part among others is not taken for
// the message, so that nothing foreign can borrow its good name or its
// decryption.
package smime

import (
	"errors"
	"strings"

	"github.com/smimerelay/smimerelay/internal/message"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Content types of RFC 8551 section 3, and their names from before RFC 2311.
const (
	typeSigned     = "multipart/signed"
	typePKCS7      = "application/pkcs7-mime"
	typeXPKCS7     = "application/x-pkcs7-mime"
	typeSignature  = "application/pkcs7-signature"
	typeXSignature = "application/x-pkcs7-signature"
)

// Kind says what S/MIME protection a message bears, whatever it is worth.
type Kind struct {
	// Signed means that the message, or what it encrypts visibly, is signed.
	Signed bool
	// Encrypted means that the whole body is encrypted: an enveloped-data that
	// can be read as one and has a recipient, bare or inside of a signature.
	Encrypted bool
	// Defect says why a message is not what its Content-Type says, "" where it
	// is. Such a message is neither protected nor fit to be protected.
	Defect string
}

// Inspect tells the kind of m without any cryptography: a policy must know that
// a message is signed or encrypted already. What an encrypted message holds
// cannot be told. A header alone proves nothing: text under the name of
// pkcs7-mime would leave in the clear.
func Inspect(m *message.Message) Kind {
	var k Kind
	for p := m.Root(); ; {
		if p.Ambiguous {
			return Kind{Defect: p.Defect}
		}
		switch layerOf(p) {
		case clearLayer:
			content := signedPart(p)
			if content == nil {
				return Kind{Defect: "multipart/signed without its two parts"}
			}
			k.Signed = true
			// Text could stand beside the signed part.
			if beside(p) > maxBeside {
				return k
			}
			p = content
		case cmsLayer:
			return k.withObject(p)
		default:
			return k
		}
	}
}

// maxBeside is how much text there may be before and behind the parts of a
// multipart/signed around a ciphertext: a line for old readers.
const maxBeside = 100

// beside counts the octets before the first and behind the last part of p.
func beside(p *message.Part) int {
	last := p.Children[len(p.Children)-1]
	return p.Children[0].Start - p.Body + p.End - last.End - 2*len("\r\n----\r\n"+p.Params["boundary"])
}

// withObject adds what the CMS object in p is.
func (k Kind) withObject(p *message.Part) Kind {
	object, err := p.Decode()
	if err != nil {
		return Kind{Defect: err.Error()}
	}
	kind, err := cms.ContentType(object)
	if err == nil {
		switch kind {
		case cms.TypeSigned:
			_, err = cms.ParseSignedData(object)
			k.Signed = true
		case cms.TypeEnveloped, cms.TypeAuthEnveloped:
			var env *cms.EnvelopedData
			env, err = cms.ParseEnvelopedData(object)
			k.Encrypted = err == nil && len(env.Recipients) > 0
			if err == nil && !k.Encrypted {
				err = errNobody
			}
		}
	}
	if err != nil {
		return Kind{Defect: err.Error()}
	}
	return k
}

var errNobody = errors.New("an enveloped-data without recipients")

// layer is the form of an S/MIME layer.
type layer int

const (
	noLayer    layer = iota
	clearLayer       // multipart/signed
	cmsLayer         // a CMS object of any type
)

// layerOf tells whether p is S/MIME (RFC 8551 section 3.10).
func layerOf(p *message.Part) layer {
	switch p.MediaType {
	case typeSigned:
		if signedByCMS(p) {
			return clearLayer
		}
	case typePKCS7, typeXPKCS7:
		return cmsLayer
	case "application/octet-stream", typeSignature, typeXSignature:
		if cmsName(p.Filename()) && cmsType(p) != "" {
			return cmsLayer
		}
	}
	return noLayer
}

// signedByCMS tells S/MIME from other protocols of multipart/signed. Where the
// protocol is missing the signature itself tells.
func signedByCMS(p *message.Part) bool {
	protocol := strings.ToLower(p.Params["protocol"])
	if protocol == "" && len(p.Children) == 2 {
		protocol = p.Children[1].MediaType
	}
	switch protocol {
	case typeSignature, typeXSignature, typePKCS7, typeXPKCS7:
		return true
	}
	return false
}

// signedPart returns the part that a multipart/signed protects, nil if its form
// is not that of RFC 1847 section 2.1.
func signedPart(p *message.Part) *message.Part {
	if len(p.Children) != 2 || p.Defect != "" {
		return nil
	}
	return p.Children[0]
}

// cmsName reports whether a file name is one of a CMS object.
func cmsName(name string) bool {
	name = strings.ToLower(name)
	for _, ext := range []string{".p7m", ".p7s", ".p7c", ".p7z"} {
		if strings.HasSuffix(name, ext) {
			return true
		}
	}
	return false
}

// peek is how many octets of an encoded object are decoded to see its type.
const peek = 256

// cmsType returns the type of the CMS object in p as its first octets tell; the
// smime-type parameter may be absent or wrong. "" if it is no CMS object.
func cmsType(p *message.Part) cms.Type {
	head := p.Content()
	if p.Encoding == "base64" {
		head = base64Head(head, peek)
	} else if p.Encoding == "quoted-printable" {
		head, _ = p.Decode()
	}
	t, err := cms.ContentType(closed(head))
	if err != nil {
		return ""
	}
	return t
}

// closed makes a small object of the head of a large one: a SEQUENCE with
// nothing but the OBJECT IDENTIFIER that it starts with. nil if it starts with
// anything else.
func closed(head []byte) []byte {
	if len(head) < 2 || head[0] != 0x30 {
		return nil
	}
	skip := 2
	if head[1] > 0x80 {
		skip += int(head[1] & 0x7f)
	}
	if len(head) < skip+2 || head[skip] != 0x06 || head[skip+1] > 0x70 {
		return nil
	}
	size := 2 + int(head[skip+1])
	if len(head) < skip+size {
		return nil
	}
	return append([]byte{0x30, byte(size)}, head[skip:skip+size]...)
}

// base64Head decodes the first octets of base64, about n of them.
func base64Head(text []byte, n int) []byte {
	var head []byte
	for _, c := range text {
		if len(head) == n/3*4 {
			break
		}
		if c != '\r' && c != '\n' && c != ' ' && c != '\t' {
			head = append(head, c)
		}
	}
	out, err := message.DecodeBase64(head)
	if err != nil {
		return nil
	}
	return out
}
