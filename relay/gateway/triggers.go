package gateway

import (
	"mime"
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

// cutAll takes every one of words out of s, whatever their case, with the blank
// beside it. Taking one out may put another together: it goes too.
func cutAll(s string, words []string) string {
	for again := true; again; {
		again = false
		for _, w := range words {
			i := foldIndex(s, w)
			if w == "" || i < 0 {
				continue
			}
			left, right := s[:i], s[i+len(w):]
			if left == "" || strings.HasSuffix(left, " ") {
				right = strings.TrimPrefix(right, " ")
			}
			s, again = left+right, true
		}
	}
	return s
}

// foldIndex is strings.Index without regard to the case of letters whose two
// cases have the same length.
func foldIndex(s, w string) int {
	for i := 0; i+len(w) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(w)], w) {
			return i
		}
	}
	return -1
}

// subjectField writes a subject, encoded where it must be (RFC 2047).
func subjectField(s string) (message.Field, error) {
	return message.NewField("Subject", mime.QEncoding.Encode("utf-8", strings.TrimSpace(s)))
}

// tagged puts a tag before the subject of a message. The header is outside what
// is signed.
func tagged(m *message.Message, tag string) (*message.Message, error) {
	subject, ok := charset.Header(m.Get("Subject"))
	if tag == "" || strings.Contains(subject, tag) {
		return m, nil
	}
	field, err := subjectField(tag + " " + subject)
	if !ok {
		// What cannot be read stays as it came.
		field, err = message.NewField("Subject", mime.QEncoding.Encode("utf-8", tag)+" "+m.Get("Subject"))
	}
	if err != nil {
		return nil, err
	}
	return m.Apply(message.Change{Remove: message.Named("Subject"), Prepend: []message.Field{field}})
}
