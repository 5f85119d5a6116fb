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
	"strings"

	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Content types of RFC 8551 section 3, and their names from before RFC 2311.
const (
	typeSigned     = "multipart/signed"
	typePKCS7      = "application/pkcs7-mime"
	typeXPKCS7     = "application/x-pkcs7-mime"
	typeSignature  = "application/pkcs7-signature"
	typeXSignature = "application/x-pkcs7-signature"
)

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
