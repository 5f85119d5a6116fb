package gateway

import (
	"crypto/rand"
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// formed returns what was opened in the form that an inbound rule asks for. A message
// that cannot be brought into it stays as it was opened: note says why.
func (in *arrival) formed(o *opened, f enforce.Form) (formed *opened, note string) {
	m, err := in.form(o, f)
	if err == nil && f.Original == enforce.OriginalAttached && m != in.msg {
		m, err = withOriginal(m, in.msg)
	}
	if err != nil {
		return o, "delivered in another form than the rule says: " + ascii(err.Error())
	}
	if m == o.Message {
		return o, ""
	}
	changed := *o
	changed.Message, changed.encrypted = m, smime.Inspect(m).Encrypted
	return &changed, ""
}

func (in *arrival) form(o *opened, f enforce.Form) (*message.Message, error) {
	switch f.Layers {
	case enforce.AsIs:
		return in.msg, nil
	case enforce.Readable:
		strip := f.Strip == enforce.StripAlways || f.Strip == enforce.StripValid && o.Report.Result == certs.Pass
		return o.Readable(strip)
	}
	return o.Message, nil
}

// withOriginal returns m with the message as it came attached. What is signed in m
// stays as it is.
func withOriginal(m, original *message.Message) (*message.Message, error) {
	boundary := "original-" + rand.Text()
	kind, err := message.NewField("Content-Type", `multipart/mixed; boundary="`+boundary+`"`)
	if err != nil {
		return nil, fmt.Errorf("attach the original: %w", err)
	}
	fields := []message.Field{kind}
	if !message.ScanLines(m.Body()).ASCII || !message.ScanLines(original.Bytes()).ASCII {
		fields = append(fields, message.RawField("Content-Transfer-Encoding", "8bit"))
	}
	attached := []message.Field{
		message.RawField("Content-Type", "message/rfc822"),
		message.RawField("Content-Disposition", `attachment; filename="original.eml"`),
	}
	if !message.ScanLines(original.Bytes()).ASCII {
		attached = append(attached, message.RawField("Content-Transfer-Encoding", "8bit"))
	}
	return m.Apply(message.Change{Entity: &message.Entity{Fields: fields, Received: true, Body: []message.Piece{
		message.Text("--" + boundary + "\r\n"), message.Text(message.WriteHeader(describing(m))), message.Text(m.Body()),
		message.Text("\r\n--" + boundary + "\r\n"), message.Text(message.WriteHeader(attached)), message.Text(message.Canonical(original.Bytes())),
		message.Text("\r\n--" + boundary + "--\r\n"),
	}}})
}

// describing are the fields of a message that describe its body.
func describing(m *message.Message) []message.Field {
	var fields []message.Field
	for _, f := range m.Fields() {
		if f.Structural() && !f.Is("MIME-Version") {
			fields = append(fields, f)
		}
	}
	return fields
}
