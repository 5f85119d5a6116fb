package address

import "strings"

// WithoutExtension returns the address of the mailbox that an address extension
// (RFC 5233 section 1, "subaddress") belongs to: bob@ for bob+news@ where "+" is
// one of the delimiters. ok is false where there is no extension. It splits as
// Postfix does with its recipient_delimiter: at the first delimiter, never before
// the first character, and with "-" no names of list managers and mail systems.
func (a Address) WithoutExtension(delimiters string) (mailbox Address, ok bool) {
	i := strings.IndexAny(a.local, delimiters)
	if i <= 0 || reserved(lower(a.local), delimiters) {
		return Address{}, false
	}
	// A part of a valid local part is one, and the wire form quotes it as needed:
	// what is before the first delimiter may end in a dot.
	return Address{local: a.local[:i], domain: a.domain, ascii: a.ascii}, true
}

// reserved reports whether a local part is a name that means what it says as a
// whole.
func reserved(local, delimiters string) bool {
	switch local {
	case "mailer-daemon", "double-bounce":
		return true
	}
	return strings.Contains(delimiters, "-") &&
		(strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request"))
}

// SameMailbox reports whether a names the mailbox of b: it is b, or b without its
// extension.
func (a Address) SameMailbox(b Address, rule LocalPart, delimiters string) bool {
	if a.Equal(b, rule) {
		return true
	}
	mailbox, ok := b.WithoutExtension(delimiters)
	return ok && a.Equal(mailbox, rule)
}
