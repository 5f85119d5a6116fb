package smime

import (
	"slices"
	"strings"

	"github.com/smimerelay/smimerelay/smime/message"
)

// Protects reports whether what was opened holds each of the named fields just as the header
// outside has it, and says that it protects its header: then who signed it signed them. It
// does so by RFC 9788, or by RFC 8551 section 3.1, where the whole message is inside.
func (o *Opened) Protects(names ...string) bool {
	inside, _ := o.protected()
	return inside != nil && !slices.ContainsFunc(names, func(name string) bool {
		return !slices.Equal(values(inside.Fields, name), values(o.given.Fields(), name))
	})
}

// protected returns the part that has the protected header; nil where there is none. Where
// it is a message in the payload (RFC 9788 section 4.10.1), wrapped says so.
func (o *Opened) protected() (inside *message.Part, wrapped bool) {
	switch p := o.payload; {
	case p == nil || o.given == nil:
	case protectedHeader(p):
		return p, false
	case p.MediaType == "message/rfc822" && !strings.EqualFold(p.Params["forwarded"], "yes") && len(p.Children) == 1 && layerOf(p.Children[0]) == noLayer:
		return p.Children[0], true
	}
	return nil, false
}

func values(fields []message.Field, name string) []string {
	var list []string
	for _, f := range fields {
		if f.Is(name) {
			list = append(list, unfolded(f))
		}
	}
	return list
}

// unfolded is the value of a field with single blanks, wherever its line was folded.
func unfolded(f message.Field) string { return strings.Join(strings.Fields(f.Value()), " ") }
