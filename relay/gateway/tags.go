package gateway

import (
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/internal/lookalike"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Tags are words before the subject of an inbound message that say what was found; ""
// is none. People see them where no mail program shows a status.
type Tags struct {
	Signed, Encrypted, Unverified string
}

// all are the tags that there are.
func (t Tags) all() []string {
	return slices.DeleteFunc([]string{t.Signed, t.Encrypted, t.Unverified}, func(s string) bool { return s == "" })
}

// tagged returns o with tags before its subject, after whatever a reader could take for
// one was removed. A message that cannot be changed stays as it is: then its status
// says what was found.
func (t Tags) tagged(o *opened) *opened {
	if len(t.all()) == 0 {
		return o
	}
	change, ok := t.change(o)
	if !ok {
		return o
	}
	m, err := o.Message.Apply(change)
	if err != nil {
		return o
	}
	tagged := *o
	tagged.Message = m
	return &tagged
}

// change rewrites the subjects of a message; ok is false where they stay.
func (t Tags) change(o *opened) (c message.Change, ok bool) {
	subjects, changed, unread := t.cleaned(o.Message)
	tags := t.of(o, unread)
	if !changed && len(tags) == 0 {
		return c, false
	}
	if len(subjects) == 0 {
		subjects = []string{""}
	}
	prefix := strings.Join(tags, " ")
	for _, s := range subjects {
		f, err := message.NewField("Subject", strings.TrimSpace(prefixed(prefix, s)))
		if err != nil {
			return c, false
		}
		c.Append = append(c.Append, f)
	}
	c.Remove = message.Named("Subject")
	return c, true
}

// prefixed returns a subject, as it is written in a header, with a text before it. No
// reader shows the blank between two encoded words (RFC 2047 section 6.2).
func prefixed(prefix, subject string) string {
	if charset.Encode(prefix) != prefix && strings.HasPrefix(subject, "=?") {
		prefix += " "
	}
	return charset.Encode(prefix) + " " + subject
}

// cleaned returns the values of the subjects of a message without what looks like a
// tag, as they are written in a header; unread says that one of them cannot be read for
// sure, and stays.
func (t Tags) cleaned(m *message.Message) (subjects []string, changed, unread bool) {
	for _, raw := range m.All("Subject") {
		text, ok := charset.Header(raw)
		cut := lookalike.Cut(text, t.all())
		switch {
		case !ok:
			unread = true
			subjects = append(subjects, raw)
		case cut == text && message.ScanLines([]byte(raw)).ASCII:
			subjects = append(subjects, raw)
		default:
			changed = changed || cut != text
			subjects = append(subjects, charset.Encode(strings.TrimSpace(cut)))
		}
	}
	return subjects, changed, unread
}

// of returns the tags for what was found.
func (t Tags) of(o *opened, unread bool) []string {
	r := &o.Report
	passed := r.Result == certs.Pass
	var tags []string
	add := func(on bool, tag string) {
		if on && tag != "" {
			tags = append(tags, tag)
		}
	}
	add(passed, t.Signed)
	add(o.Decrypted && !o.encrypted, t.Encrypted)
	add(!passed && len(r.Signers) > 0 || r.Result == certs.PermError || unread && !passed, t.Unverified)
	return tags
}
