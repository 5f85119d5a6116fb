package smime

import "github.com/smimerelay/smimerelay/smime/message"

// safeLine is the longest line of a body part that is to be signed, without its
// line end: RFC 2045 section 6.7 allows 76 octets of quoted-printable.
const safeLine = 76

// travels reports whether data passes every mail relay unchanged.
func travels(data []byte, limit int) bool { return message.ScanLines(data).Sturdy(limit) }

// denseBinary reports whether base64 is shorter than quoted-printable: an octet
// that needs escaping costs two more, and base64 costs a third of all.
func denseBinary(data []byte) bool {
	n := 0
	for _, c := range data {
		if c >= 0x7f || c == '=' || c < ' ' && c != '\t' && c != '\r' && c != '\n' {
			n++
		}
	}
	return n > len(data)/6
}
