package bodytext

import (
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

// AddFooter returns m with the footer at the end: in the texts that a reader sees where
// they can be changed, else in a part of its own beside the message. Signed text is never
// changed: the footer then stands outside the signature, in a multipart/mixed around both.
// Messages that it would spoil come back as they
// are: opaque signatures, which a part beside them would turn into an attachment
// that many readers do not open, and everything that is encrypted, a report, or
// nothing that people read.
func AddFooter(m *message.Message, f Footer) (*message.Message, error) {
	if f.Text == "" {
		return m, nil
	}
	m, err := canonical(m)
	if err != nil {
		return nil, err
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
		edits, ok := f.insertion().edits(texts)
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
