// Package footer adds text to the end of a message, such as the particulars that
// the law asks of business letters. It changes the texts that a reader sees where
// it can, in their own character set and transfer encoding, and puts a part of its
// own beside the message where it can not. Signed text is never changed:
// the text then stands outside the signature, in a multipart/mixed around both.
package footer

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/smimerelay/smimerelay/smime/message"
)

// Footer is a text and, for HTML, a fragment that says the same; "" is made from
// the text.
type Footer struct{ Text, HTML string }

// errKeep says that a message has no place for a footer.
var errKeep = errors.New("no place for a footer")

// Add returns m with the footer. Messages that it would spoil come back as they
// are: opaque signatures, which a part beside them would turn into an attachment
// that many readers do not open, and everything that is encrypted, a report, or
// nothing that people read.
func Add(m *message.Message, f Footer) (*message.Message, error) {
	if f.Text == "" {
		return m, nil
	}
	if m.LineEnd() != message.CRLF {
		var err error
		if m, err = message.Parse(message.Canonical(m.Bytes())); err != nil {
			return nil, err
		}
	}
	entity, err := f.entity(m)
	if errors.Is(err, errKeep) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("footer: %w", err)
	}
	return m.Apply(message.Change{Entity: entity})
}

// entity is what the message becomes.
func (f Footer) entity(m *message.Message) (*message.Entity, error) {
	root := m.Root()
	if spoiled(root) {
		return nil, errKeep
	}
	if texts := find(root); len(texts) > 0 {
		edits, ok := f.edits(texts)
		switch {
		case ok && len(edits) == 0:
			return nil, errKeep // it is there already
		case ok:
			return splice(m, edits), nil
		}
	}
	return f.beside(m)
}

// spoiled reports what a part beside it would make worse.
func spoiled(p *message.Part) bool {
	switch p.MediaType {
	case "application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted", "multipart/report",
		"text/calendar", "message/disposition-notification", "message/delivery-status":
		return true
	}
	return p.Ambiguous
}

// find returns the texts of which a reader sees one: none where that cannot be
// known, or where some of what is seen is no text.
func find(p *message.Part) []*message.Part {
	switch {
	case p.Ambiguous || attached(p):
		return nil
	case p.MediaType == "text/plain" || p.MediaType == "text/html":
		return []*message.Part{p}
	case (p.MediaType == "multipart/mixed" || p.MediaType == "multipart/related") && len(p.Children) > 0 && p.Closed:
		return find(p.Children[0])
	case p.MediaType != "multipart/alternative" || !p.Closed:
		return nil
	}
	var all []*message.Part
	for _, c := range p.Children {
		texts := find(c)
		if len(texts) == 0 {
			return nil
		}
		all = append(all, texts...)
	}
	return all
}

func attached(p *message.Part) bool {
	d := p.Get("Content-Disposition")
	return len(d) >= 10 && bytes.EqualFold([]byte(d[:10]), []byte("attachment"))
}

// edit is a part with what takes its place.
type edit struct {
	part   *message.Part
	fields []message.Field
	body   message.Piece
}

// edits returns the changes of the texts that do not have the footer yet; ok is
// false where one of them cannot be changed.
func (f Footer) edits(texts []*message.Part) (edits []edit, ok bool) {
	for _, p := range texts {
		e, err := f.edit(p)
		if errors.Is(err, errKeep) {
			continue
		}
		if err != nil {
			return nil, false
		}
		edits = append(edits, e)
	}
	return edits, true
}

// splice puts edits into the entity of m.
func splice(m *message.Message, edits []edit) *message.Entity {
	root := m.Root()
	if edits[0].part == root {
		return &message.Entity{Fields: content(edits[0].fields), Body: []message.Piece{edits[0].body}, Received: true}
	}
	e := &message.Entity{Fields: content(root.Fields), Received: true}
	at := root.Body
	for _, c := range edits {
		e.Body = append(e.Body, message.Text(m.Between(at, c.part.Start)), message.Text(message.WriteHeader(c.fields)), c.body)
		at = c.part.End
	}
	e.Body = append(e.Body, message.Text(m.Between(at, root.End)))
	return e
}

// beside makes a multipart/mixed of the message and the footer. Not an octet of
// what was there changes: it may be signed.
func (f Footer) beside(m *message.Message) (*message.Entity, error) {
	boundary := "footer-" + rand.Text()
	kind, err := message.NewField("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	if err != nil {
		return nil, err
	}
	fields := []message.Field{kind}
	if !message.ScanLines(m.Body()).ASCII {
		fields = append(fields, message.RawField("Content-Transfer-Encoding", "8bit"))
	}
	inner := content(m.Root().Fields)
	if !slices.ContainsFunc(inner, func(f message.Field) bool { return f.Is("Content-Type") }) {
		inner = append(inner, message.RawField("Content-Type", "text/plain"))
	}
	own := []message.Field{message.RawField("Content-Type", "text/plain; charset=utf-8"), message.RawField("Content-Transfer-Encoding", "quoted-printable")}
	return &message.Entity{Fields: fields, Received: true, Body: []message.Piece{
		message.Text("--" + boundary + "\r\n"), message.Text(message.WriteHeader(inner)), message.Text(m.Body()),
		message.Text("\r\n--" + boundary + "\r\n"), message.Text(message.WriteHeader(own)), message.Quoted([]byte(f.plain("\r\n", false))),
		message.Text("--" + boundary + "--\r\n"),
	}}, nil
}

// content returns the fields that belong to the body.
func content(fields []message.Field) []message.Field {
	var own []message.Field
	for _, f := range fields {
		if f.Structural() && !f.Is("MIME-Version") {
			own = append(own, f)
		}
	}
	return own
}
