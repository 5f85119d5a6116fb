package gateway

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// The types of the ContentInfo of a protected message, as DER has them (RFC 5652
// sections 5.1 and 6.1, RFC 5083 section 2).
var (
	signedData        = []byte{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x02}
	envelopedData     = []byte{0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07, 0x03}
	authEnvelopedData = []byte{0x06, 0x0B, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x10, 0x01, 0x17}
)

// leavesEncrypted reports whether a copy that was encrypted here has the form of one.
// It is the last guard: it relies on nothing that is known of the message, and reads no
// more than the outer Content-Type and the first octets of the body.
func leavesEncrypted(m *message.Message) bool {
	return isObject(m, envelopedData) || isObject(m, authEnvelopedData)
}

// leavesSigned is leavesEncrypted for a copy that was signed here.
func leavesSigned(m *message.Message) bool {
	return m.Root().MediaType == "multipart/signed" && len(m.Root().Children) == 2 || isObject(m, signedData)
}

// describesSigned is leavesSigned for a draft, of which only the header is looked at.
func describesSigned(fields []message.Field) bool {
	for _, f := range fields {
		if f.Is("Content-Type") {
			value := strings.ToLower(f.Value())
			return strings.HasPrefix(value, "multipart/signed;") ||
				strings.HasPrefix(value, "application/pkcs7-mime;") && strings.Contains(value, "smime-type=signed-data")
		}
	}
	return false
}

// isObject reports whether the body of a message begins as a CMS object of a type, in
// the only way in which the gateway writes one: application/pkcs7-mime in base64.
func isObject(m *message.Message, objectType []byte) bool {
	p := m.Root()
	if p.Ambiguous || p.MediaType != "application/pkcs7-mime" || !strings.EqualFold(p.Encoding, "base64") {
		return false
	}
	// ContentInfo is a SEQUENCE (RFC 5652 section 3); its length takes nine octets at
	// most.
	head, _ := base64.StdEncoding.DecodeString(string(m.Body()[:min(len(m.Body()), 40)]))
	if len(head) < 2 || head[0] != 0x30 {
		return false
	}
	head = head[1:]
	if size := head[0]; size > 0x80 {
		head = head[min(len(head), int(size&0x7f)):]
	}
	return bytes.HasPrefix(head[min(len(head), 1):], objectType)
}
