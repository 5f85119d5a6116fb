package smime

import (
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// Confidential returns the names of the fields that the author of a decrypted message kept
// from all but its recipients: those in its protected header that were not outside with the
// same value when it was sent (RFC 9788 section 4.3.1). Of a message that protects its header
// by RFC 8551 the header outside is what tells (section 4.10.2), which a server may have
// changed.
func (o *Opened) Confidential() []string {
	inside, wrapped := o.protected()
	if !o.Decrypted || inside == nil || !wrapped && !strings.EqualFold(inside.Params["hp"], string(HeadersCipher)) {
		return nil
	}
	outer := o.given.Fields()
	if !wrapped {
		outer = recordedOuter(inside.Fields)
	}
	var names []string
	for _, f := range inside.Fields {
		same := func(g message.Field) bool { return g.Is(f.Name) && unfolded(g) == unfolded(f) }
		if !f.Structural() && !f.Is("HP-Outer") && !f.Is(names...) && !slices.ContainsFunc(outer, same) {
			names = append(names, f.Name)
		}
	}
	return names
}

// HidSubject reports whether one of the fields that say what a message is about was
// confidential. An answer to it must not show them outside of encryption either (RFC 9788
// section 6.1).
func (o *Opened) HidSubject() bool {
	return slices.ContainsFunc(o.Confidential(), func(name string) bool { return topical(message.Field{Name: name}) })
}

// recordedOuter returns the fields that HP-Outer says were outside (RFC 9788 section 4.2.1).
func recordedOuter(fields []message.Field) []message.Field {
	var list []message.Field
	for _, f := range fields {
		if name, value, found := strings.Cut(unfolded(f), ":"); found && f.Is("HP-Outer") {
			list = append(list, message.RawField(strings.TrimSpace(name), strings.TrimSpace(value)))
		}
	}
	return list
}
