package gateway

import (
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/internal/lookalike"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Tags are words before the subject of an inbound message that say what was found; ""
// is none. People see them where no mail program shows a status.
type Tags struct {
	Signed, Encrypted, Unverified string
}

// TagsIn returns the tags in a language, English where it is not known.
func TagsIn(language string) Tags {
	if language == "de" {
		return Tags{Signed: "[signiert]", Encrypted: "[verschlüsselt]", Unverified: "[nicht bestätigt]"}
	}
	return Tags{Signed: "[signed]", Encrypted: "[encrypted]", Unverified: "[not verified]"}
}

// says is when a message gets tags.
type says int

const (
	saysNothing says = iota // forged ones are removed all the same
	saysFound               // where there is something to say
	saysAlways              // a message without S/MIME is not verified, too
)

// tagged returns o with tags, where mail has any for which this action was decided, and
// without forged ones in any case.
func (g *Gateway) tagged(o *opened, action enforce.Action) *opened {
	say := saysFound
	switch {
	case action == enforce.Tag:
		say = saysAlways
	case g.InboundPolicy.Tags():
		say = saysNothing
	}
	return g.Inbound.Tags.tagged(o, say)
}

// all are the tags that there are.
func (t Tags) all() []string {
	return slices.DeleteFunc([]string{t.Signed, t.Encrypted, t.Unverified}, func(s string) bool { return s == "" })
}

// tagged returns o with tags before its subject, after whatever a reader could take for
// one was removed. A message that cannot be changed stays as it is: then its status says
// what was found.
func (t Tags) tagged(o *opened, say says) *opened {
	if len(t.all()) == 0 {
		return o
	}
	change, ok := t.change(o, say)
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
func (t Tags) change(o *opened, say says) (c message.Change, ok bool) {
	subjects, changed := t.cleaned(o.Message)
	tags := t.of(o, say)
	if !changed && len(tags) == 0 {
		return c, false
	}
	if len(subjects) == 0 {
		subjects = []subject{{}}
	}
	prefix := strings.Join(tags, " ")
	for _, s := range subjects {
		f, err := s.field(prefix, o.Message)
		if err != nil {
			return c, false
		}
		c.Append = append(c.Append, f)
	}
	c.Remove = message.Named("Subject")
	return c, true
}

// subject is a subject as it is written in a header, and the text that is read in it.
type subject struct{ written, text string }

// field is the subject with tags before it. What cannot be written as it is, for a word is
// longer than a line, is written in encoded words: no sender can make a subject that stays.
func (s subject) field(prefix string, m *message.Message) (f message.Field, err error) {
	for _, value := range []func() string{
		func() string { return prefixed(prefix, s.written, charsetFor(s.written, m)) },
		func() string { return charset.Words(strings.TrimSpace(prefix + " " + s.text)) },
		func() string { return charset.Words(prefix) },
	} {
		if f, err = message.NewField("Subject", strings.TrimSpace(value())); err == nil {
			return f, nil
		}
	}
	return f, err
}

// prefixed returns a subject, as it is written in a header, with a text before it in a
// charset. No reader shows the blank between two encoded words (RFC 2047 section 6.2).
func prefixed(prefix, subject, name string) string {
	if charset.Encode(prefix) != prefix && strings.HasPrefix(subject, "=?") {
		prefix += " "
	}
	return charset.EncodeIn(name, prefix) + " " + subject
}

// charsetFor is the charset in which text is added to a subject: its own, else that of
// the first text of the message.
func charsetFor(subject string, m *message.Message) string {
	name := charset.Of(subject)
	m.Root().Walk(func(p *message.Part) bool {
		if name == "" && strings.HasPrefix(p.MediaType, "text/") {
			name = p.Params["charset"]
		}
		return name == ""
	})
	return name
}

// cleaned returns the subjects of a message without what looks like a tag. One that cannot
// be read for sure, as in an unknown charset, is written as it was read here: a reader that
// knows the charset must not find a tag in it that was not seen.
func (t Tags) cleaned(m *message.Message) (subjects []subject, changed bool) {
	for _, raw := range m.All("Subject") {
		text, ok := charset.Header(raw)
		cut := strings.TrimSpace(lookalike.Cut(text, t.all()))
		stays := ok && cut == strings.TrimSpace(text)
		changed = changed || !stays
		if stays && printable(raw) {
			subjects = append(subjects, subject{raw, cut})
		} else {
			subjects = append(subjects, subject{charset.EncodeIn(charsetFor(raw, m), cut), cut})
		}
	}
	return subjects, changed
}

// printable reports whether a header can have a value in it as it is.
func printable(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f })
}

// of returns the tags for what was found.
func (t Tags) of(o *opened, say says) []string {
	if say == saysNothing {
		return nil
	}
	r := &o.Report
	passed := r.Result == certs.Pass
	var tags []string
	add := func(on bool, tag string) {
		if on && tag != "" {
			tags = append(tags, tag)
		}
	}
	bad := !passed && len(r.Signers) > 0 || r.Result == certs.PermError
	add(passed, t.Signed)
	add(o.Decrypted && !o.encrypted, t.Encrypted)
	add(bad || say == saysAlways && len(tags) == 0, t.Unverified)
	return tags
}
