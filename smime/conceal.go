package smime

import (
	"strings"

	charsets "github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/smime/message"
)

// topical reports whether a field says what a message is about: what the baseline
// policy of RFC 9788 section 3.2.1 hides, and what programs repeat that in under
// other names, such as Thread-Topic, Original-Subject and Resent-Subject.
func topical(f message.Field) bool {
	name := strings.ToLower(f.Name)
	return f.Is("Comments", "Keywords", "Summary", "Abstract") || strings.Contains(name, "subject") || strings.Contains(name, "topic")
}

// shown are fields that stay outside whatever they say: without them the message is
// not delivered, shown or threaded.
var shown = []string{
	"From", "Sender", "Reply-To", "To", "Cc", "Date", "Message-ID", "In-Reply-To", "References",
	"Received", "Return-Path", "Delivered-To",
}

// leastSubject is how long a subject must be, in octets, to be found in other
// fields: a shorter one is in some by accident.
const leastSubject = 6

// concealment returns what tells the fields of m that hiding its subject hides too:
// those about it, those that have its text in them, and signatures that have a copy
// of the header in them (RFC 6376 section 3.5, z=).
func concealment(m *message.Message) func(message.Field) bool {
	var subjects []string
	for _, s := range m.All("Subject") {
		if s = withoutPrefixes(legible(s)); len(s) >= leastSubject {
			subjects = append(subjects, s)
		}
	}
	return func(f message.Field) bool {
		switch {
		case topical(f):
			return true
		case f.Structural() || f.Is(shown...):
			return false
		case copiesHeader(f):
			return true
		}
		value := legible(f.Value())
		for _, s := range subjects {
			if strings.Contains(value, s) {
				return true
			}
		}
		return false
	}
}

// legible returns a value as readers see it, whatever its blanks and case.
func legible(value string) string {
	s, _ := charsets.Header(value)
	return strings.ToLower(strings.Join(strings.Fields(s), " "))
}

// withoutPrefixes removes what programs put before the subject of an answer.
func withoutPrefixes(s string) string {
	for {
		prefix, rest, found := strings.Cut(s, ":")
		if !found || len(prefix) > 4 || strings.Contains(prefix, " ") {
			return s
		}
		s = strings.TrimSpace(rest)
	}
}

// copiesHeader reports whether f is a DKIM signature with copies of header fields.
func copiesHeader(f message.Field) bool {
	if !f.Is("DKIM-Signature", "ARC-Message-Signature") && !strings.HasSuffix(strings.ToLower(f.Name), "dkim-signature") {
		return false
	}
	for tag := range strings.SplitSeq(f.Value(), ";") {
		if name, _, _ := strings.Cut(tag, "="); strings.TrimSpace(name) == "z" {
			return true
		}
	}
	return false
}
