package message

import (
	"slices"
	"strings"
)

// Part is a node of the MIME tree: offsets into the bytes of its message.
type Part struct {
	// Fields are the part's own header fields. For the root these are the
	// message's.
	Fields []Field
	// MediaType is type "/" subtype, lower case; RFC 2045 section 5.2 defaults
	// are filled in.
	MediaType string
	// Params are the Content-Type parameters, names in lower case.
	Params map[string]string
	// Encoding is the Content-Transfer-Encoding, lower case, "7bit" if absent.
	Encoding string
	// Start, Body and End bound the part: header from Start, content from Body
	// up to End, which leaves out the line end that belongs to the delimiter
	// (RFC 2046 section 5.1.1).
	Start, Body, End int
	// Children are the parts of a multipart, or the one message of a
	// message/rfc822.
	Children []*Part
	// Closed says that a multipart has its closing delimiter.
	Closed bool
	// Defect says why two readers may see different things in this part: a
	// header cut short, a field that must be unique and is not, a Content-Type
	// that cannot be read. "" if there is nothing to say.
	Defect string
	// Ambiguous says that the defect may make two readers see different
	// messages, and that nothing should be said or made of this part: a second
	// Content-Type or Content-Transfer-Encoding, or a structure over the limits.
	Ambiguous bool

	raw []byte
	// head is the header of a root that has it apart: see Message.
	head []byte
	// source is nil where raw has all of the message: see ParseLarge.
	source *source
}

// Bytes returns header and content as received.
func (p *Part) Bytes() []byte {
	if p.head != nil {
		return slices.Concat(p.head, p.Content())
	}
	return p.raw[p.Start:p.End]
}

// Content returns the content as received, still encoded.
func (p *Part) Content() []byte { return p.raw[p.Body:p.End] }

// Get returns the unfolded value of the first field of that name, "" if there
// is none.
func (p *Part) Get(name string) string { return get(p.Fields, name) }

// All returns the unfolded values of the fields of that name, in order.
func (p *Part) All(name string) []string { return all(p.Fields, name) }

// Multipart reports whether the part is a multipart.
func (p *Part) Multipart() bool { return strings.HasPrefix(p.MediaType, "multipart/") }

// Filename returns the name that the part gives itself: the filename of
// Content-Disposition or the name of Content-Type.
func (p *Part) Filename() string {
	if v := p.Get("Content-Disposition"); v != "" {
		if _, params, _ := parseParams(v); params["filename"] != "" {
			return params["filename"]
		}
	}
	return p.Params["name"]
}

// describe fills in what the part's fields say. fallback is the media type of a
// part without a Content-Type.
func (p *Part) describe(fallback string) {
	p.MediaType, p.Encoding = fallback, "7bit"
	types, encodings := 0, 0
	for _, f := range p.Fields {
		switch {
		case f.Is("Content-Type"):
			if types++; types == 1 {
				p.contentType(f.Value())
			}
		case f.Is("Content-Transfer-Encoding"):
			if encodings++; encodings == 1 {
				p.Encoding = encodingToken(f.Value())
			}
		}
	}
	switch {
	case types > 1:
		p.ambiguous("more than one Content-Type")
	case encodings > 1:
		p.ambiguous("more than one Content-Transfer-Encoding")
	}
	if n := len(p.Params["boundary"]); p.Multipart() && (n == 0 || n > maxBoundary) {
		p.defect("a multipart without a usable boundary")
	}
}

func (p *Part) contentType(value string) {
	head, params, ok := parseParams(value)
	if !ok {
		p.defect("an ambiguous Content-Type")
	}
	p.Params = params
	kind, sub, _ := strings.Cut(head, "/")
	if !isToken(kind) || !isToken(sub) {
		// RFC 2045 section 5.2: an unreadable type is as none.
		p.MediaType, p.Params = "text/plain", nil
		p.defect("an unreadable Content-Type")
		return
	}
	p.MediaType = strings.ToLower(head)
}

func (p *Part) defect(text string) {
	if p.Defect == "" {
		p.Defect = text
	}
}

func (p *Part) ambiguous(text string) { p.Defect, p.Ambiguous = text, true }

// identity reports whether the content is what it says, not encoded.
func (p *Part) identity() bool {
	return p.Encoding == "7bit" || p.Encoding == "8bit" || p.Encoding == "binary"
}

// Encoded reports whether Decode makes octets of its own. Where it does not it
// returns part of the message, which must not be changed.
func (p *Part) Encoded() bool { return !p.identity() }

// container reports whether the content is a message that the tree goes into.
func (p *Part) container() bool {
	return (p.MediaType == "message/rfc822" || p.MediaType == "message/global") && p.identity()
}

// Walk calls f for the part and everything in it, outermost first; when f
// returns false the inside of that part is left out.
func (p *Part) Walk(f func(*Part) bool) {
	if !f(p) {
		return
	}
	for _, c := range p.Children {
		c.Walk(f)
	}
}
