package gateway

import (
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Triggers are the ways in which a sender can ask for a treatment. Whether a
// wish is granted, the rules say. Every trigger is removed from what leaves.
type Triggers struct {
	// Sign, Encrypt and Plain are words anywhere in the subject, whatever their
	// case, such as "[encrypt]".
	Sign, Encrypt, Plain []string
	// Header is a field whose value is a list of the words sign, encrypt and
	// plain; "" is none.
	Header string
	// Sensitivity are values of the field Sensitivity that mean encrypt.
	Sensitivity []string
}

// wishes returns what the message asks for. Where that cannot be read for sure the
// message counts as one that asks for protection.
func (t *Triggers) wishes(msg *message.Message) enforce.Triggers {
	var w enforce.Triggers
	for _, subject := range msg.All("Subject") {
		subject, ok := charset.Header(subject)
		w.Guessed = w.Guessed || !ok && len(t.Sign)+len(t.Encrypt) > 0
		w.Sign = w.Sign || cutAll(subject, t.Sign) != subject
		w.Encrypt = w.Encrypt || cutAll(subject, t.Encrypt) != subject
		w.Plain = w.Plain || cutAll(subject, t.Plain) != subject
	}
	if t.Header != "" {
		for _, value := range msg.All(t.Header) {
			value, ok := charset.Header(value)
			w.Guessed = w.Guessed || !ok
			for word := range strings.FieldsFuncSeq(strings.ToLower(value), func(c rune) bool { return c == ',' || c == ' ' || c == ';' || c == '\t' }) {
				w.Sign = w.Sign || word == "sign"
				w.Encrypt = w.Encrypt || word == "encrypt"
				w.Plain = w.Plain || word == "plain"
			}
		}
	}
	for _, value := range msg.All("Sensitivity") {
		value, ok := charset.Header(value)
		w.Guessed = w.Guessed || !ok && len(t.Sensitivity) > 0
		w.Encrypt = w.Encrypt || slices.ContainsFunc(t.Sensitivity, func(s string) bool { return strings.EqualFold(s, strings.TrimSpace(value)) })
	}
	if w.Guessed {
		w.Sign = w.Sign || len(t.Sign) > 0 || t.Header != ""
		w.Encrypt = true
	}
	return w
}

// removal is the change that takes all triggers out of a message.
func (t *Triggers) removal(msg *message.Message) (c message.Change, err error) {
	var rewritten []message.Field
	words := slices.Concat(t.Sign, t.Encrypt, t.Plain)
	found := false
	for _, f := range msg.Fields() {
		if !f.Is("Subject") {
			continue
		}
		subject := decoded(f.Value())
		cut := cutAll(subject, words)
		found = found || cut != subject
		field, err := subjectField(cut)
		if err != nil {
			return c, err
		}
		rewritten = append(rewritten, field)
	}
	header := t.Header != "" && msg.Has(t.Header)
	if found {
		c.Prepend = rewritten
	}
	c.Remove = func(f message.Field) bool {
		return found && f.Is("Subject") || header && f.Is(t.Header)
	}
	return c, nil
}

// cutAll takes every one of words out of s, whatever the case of letters whose two
// cases have the same length, with the blank beside it. Taking one out may put another
// together: it goes too. It goes through s once, however many there are.
func cutAll(s string, words []string) string {
	if !hasWord(s, words) {
		return s
	}
	kept := make([]byte, 0, len(s))
	cut := false
	for i := range len(s) {
		blank := cut && s[i] == ' ' && (len(kept) == 0 || kept[len(kept)-1] == ' ')
		cut = false
		if blank {
			continue
		}
		kept = append(kept, s[i])
		if n := beforeWord(kept, words); n < len(kept) {
			kept, cut = kept[:n], true
		}
	}
	return string(kept)
}

// hasWord reports whether one of words is in s.
func hasWord(s string, words []string) bool {
	for i := range len(s) {
		if beforeWord(s[:i+1], words) <= i {
			return true
		}
	}
	return false
}

// beforeWord is the length of s without the one of words that ends it.
func beforeWord[T string | []byte](s T, words []string) int {
	for _, w := range words {
		if n := len(s) - len(w); n >= 0 && mayEnd(s, w) && strings.EqualFold(string(s[n:]), w) {
			return n
		}
	}
	return len(s)
}

// mayEnd is false where the last octet of s shows that it does not end with w: both are
// ASCII then, and not one letter. At most places of a text that is all to look at.
func mayEnd[T string | []byte](s T, w string) bool {
	if len(s) == 0 || w == "" {
		return true
	}
	a, b := s[len(s)-1], w[len(w)-1]
	return a == b || a >= 0x80 || b >= 0x80 || a|0x20 == b|0x20
}

// subjectField writes a subject, encoded where it must be (RFC 2047).
func subjectField(s string) (message.Field, error) {
	return message.NewField("Subject", charset.Encode(strings.TrimSpace(s)))
}

// tagged puts a tag before the subject of a message. The header is outside what
// is signed.
func tagged(m *message.Message, tag string) (*message.Message, error) {
	if tag == "" {
		return m, nil
	}
	subject, ok := charset.Header(m.Get("Subject"))
	if strings.Contains(subject, tag) {
		return m, nil
	}
	field, err := subjectField(tag + " " + subject)
	if !ok {
		// What cannot be read stays as it came.
		field, err = message.NewField("Subject", prefixed(tag, m.Get("Subject"), charset.Of(m.Get("Subject"))))
	}
	if err != nil {
		return nil, err
	}
	return m.Apply(message.Change{Remove: message.Named("Subject"), Prepend: []message.Field{field}})
}
