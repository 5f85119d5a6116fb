package gateway

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// hmacField tells filters behind the gateway that the status is the gateway's.
const hmacField = "X-SMIME-Status-HMAC"

// authenticated are the fields that the HMAC covers: the status, what identifies the
// message, and how its body reads. Each is written in the text as often as it is in the
// header, so that one more makes another text.
var authenticated = []string{"x-smime-status", "message-id", "from", "date", "content-type"}

// statusHMAC returns the field for a message that has its status. What it covers is
// described in docs/filters.md for those who verify it: white space and line ends may
// change on the way, nothing else.
func statusHMAC(key []byte, m *message.Message) (message.Field, error) {
	h := hmac.New(sha256.New, key)
	for _, name := range authenticated {
		for _, v := range m.All(name) {
			fmt.Fprintf(h, "%s:%s\n", name, oneSpaced(v))
		}
	}
	body := sha256.New()
	writeLines(body, m.Body())
	fmt.Fprintf(h, "body:%x\n", body.Sum(nil))
	return message.NewField(hmacField, "v1="+hex.EncodeToString(h.Sum(nil)))
}

// oneSpaced returns s with one space for each run of white space of US-ASCII, and none at
// its ends: a server may fold a field again.
func oneSpaced(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n\v\f", r) }), " ")
}

// writeLines writes a body with LF line ends and without empty lines at its end.
func writeLines(h hash.Hash, body []byte) {
	body = bytes.TrimRight(body, "\r\n")
	for more := true; more; {
		var run []byte
		run, body, more = bytes.Cut(body, []byte("\r"))
		_, _ = h.Write(run) // never fails
	}
}
