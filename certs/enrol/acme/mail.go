package acme

import (
	"errors"
	"mime"
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Mail is a message that came in and may be a challenge.
type Mail struct {
	Message *message.Message
	// To is its one recipient, by the envelope.
	To address.Address
	// Signer is the author by an S/MIME signature that covers the header too; null where
	// there is none.
	Signer address.Address
}

// maxChallenge bounds what is looked at, in octets: what is larger is no challenge.
const maxChallenge = 256 << 10

// subjectPrefix begins the subject (RFC 8823 section 3.1).
const subjectPrefix = "ACME:"

// covered are the fields that a signature must cover where the message has them (section
// 3.1). None of them may stand twice: readers, and signatures, would differ on which counts.
var covered = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "In-Reply-To", "References", "Message-ID",
	"Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
}

// Covered are the fields of the message itself that a signature over a challenge must cover
// where it has them: all but those that describe the content.
func Covered() []string {
	return slices.DeleteFunc(slices.Clone(covered), func(name string) bool { return strings.HasPrefix(name, "Content-") })
}

// challenge is what a message says that looks like one of a certification authority.
type challenge struct {
	from, replyTo address.Address
	token         string
	messageID     string
}

// readChallenge reads the header of a message by RFC 8823 section 3.1; ok is false where
// it does not look like a challenge at all. An error says what is wrong with one that does.
func readChallenge(m *Mail) (c challenge, ok bool, err error) {
	token, ok := tokenOf(m.Message.Get("Subject"))
	if !ok || !generated(m.Message.Get("Auto-Submitted")) {
		return c, false, nil
	}
	if m.Message.Size() > maxChallenge {
		return c, true, errors.New("the message is too large")
	}
	for _, name := range covered {
		if len(m.Message.All(name)) > 1 {
			return c, true, errors.New("the field " + name + " stands twice")
		}
	}
	c.token, c.messageID = token, strings.TrimSpace(m.Message.Get("Message-ID"))
	if c.from, err = one(m.Message, "From"); err != nil {
		return c, true, err
	}
	to, err := one(m.Message, "To")
	if err == nil && !to.Equal(m.To, address.IgnoreCase) {
		err = errors.New("the recipient is not the one in To")
	}
	if err != nil {
		return c, true, err
	}
	c.replyTo = c.from
	if m.Message.Has("Reply-To") {
		c.replyTo, err = one(m.Message, "Reply-To")
	}
	if err == nil && !c.replyTo.ASCII() {
		err = errors.New("the address for the answer is not ASCII")
	}
	return c, true, err
}

// one is the one address in a field.
func one(m *message.Message, name string) (address.Address, error) {
	list, err := m.Addresses(name)
	if err != nil || len(list) != 1 {
		return address.Null, errors.New("there is not one address in " + name)
	}
	return list[0], nil
}

// words decodes a subject: section 3.1 allows two charsets.
var words = mime.WordDecoder{}

// tokenOf reads the subject. White space within the token comes from folding.
func tokenOf(subject string) (string, bool) {
	decoded, err := words.DecodeHeader(subject)
	if err != nil {
		return "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(decoded), subjectPrefix)
	token := strings.Join(strings.Fields(rest), "")
	// 128 bits at least.
	return token, ok && len(strings.TrimRight(token, "=")) >= 22 && isToken(token)
}

// isToken reports whether a text is base64url (RFC 8555 section 8.1), with or without
// padding.
func isToken(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && len(s) <= 512 && strings.IndexFunc(s, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '-' || r == '_')
	}) < 0
}

// generated reports whether Auto-Submitted says that a program wrote the message (RFC 3834
// section 5), and of no other type than acme.
func generated(value string) bool {
	keyword, parameters, _ := strings.Cut(value, ";")
	if !strings.EqualFold(strings.TrimSpace(keyword), "auto-generated") {
		return false
	}
	for p := range strings.SplitSeq(parameters, ";") {
		name, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "type") && !strings.EqualFold(strings.Trim(strings.TrimSpace(v), `"`), "acme") {
			return false
		}
	}
	return true
}
