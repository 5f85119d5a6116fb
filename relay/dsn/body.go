package dsn

import (
	"bytes"
	"fmt"
	"mime/quotedprintable"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/smime/message"
)

// maxHeader is how much of the message's header is quoted, in octets.
const maxHeader = 16 << 10

// body returns the three parts of RFC 6522 section 3.
func (r *Report) body(boundary, text, html string) []byte {
	var b bytes.Buffer
	contentType, encoding, words := written(boundary, text, html)
	part(&b, boundary, contentType, encoding, words)
	part(&b, boundary, "message/delivery-status", "7bit", []byte(r.status()))
	if r.Original != nil || r.MessageID != "" || r.Date != "" {
		part(&b, boundary, "text/rfc822-headers; charset=utf-8", "quoted-printable", quoted(r.header()))
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

// written is what people read: a text, or the choice between it and its HTML.
func written(boundary, text, html string) (contentType, encoding string, content []byte) {
	if html == "" {
		return "text/plain; charset=utf-8", "quoted-printable", quoted([]byte(text))
	}
	return `multipart/alternative; boundary="text-` + boundary + `"`, "7bit", alternative("text-"+boundary, text, html)
}

func part(b *bytes.Buffer, boundary, contentType, encoding string, content []byte) {
	fmt.Fprintf(b, "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", boundary, contentType, encoding)
	b.Write(content)
	b.WriteString("\r\n")
}

func alternative(boundary, text, html string) []byte {
	var b bytes.Buffer
	part(&b, boundary, "text/plain; charset=utf-8", "quoted-printable", quoted([]byte(text)))
	part(&b, boundary, "text/html; charset=utf-8", "quoted-printable", quoted([]byte(html)))
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes()
}

// status is the part for machines: RFC 3464 section 2.1.
func (r *Report) status() string {
	var b strings.Builder
	field := func(name, value string) { b.WriteString(name + ": " + printable(value) + "\r\n") }
	if r.EnvelopeID != "" {
		field("Original-Envelope-Id", r.EnvelopeID) // xtext is for SMTP: RFC 3461 section 4
	}
	field("Reporting-MTA", "dns; "+r.Hostname)
	if !r.Arrived.IsZero() {
		field("Arrival-Date", r.Arrived.Format(dateFormat))
	}
	for _, to := range r.Recipients {
		r.statusOf(&b, to, r.Kind)
	}
	for _, to := range r.Stripped {
		r.statusOf(&b, to, Stripped)
	}
	return b.String()
}

// statusOf is the group of fields of one recipient: RFC 3464 section 2.3.
func (r *Report) statusOf(b *strings.Builder, to Recipient, kind Kind) {
	field := func(name, value string) { b.WriteString(name + ": " + printable(value) + "\r\n") }
	b.WriteString("\r\n")
	if to.Original != "" {
		field("Original-Recipient", original(to))
	}
	field("Final-Recipient", typed(to.Address))
	field("Action", actions[kind])
	field("Status", status(to.Reply, kind))
	if to.RemoteMTA != "" {
		field("Remote-MTA", "dns; "+to.RemoteMTA)
	}
	if to.Reply.Code != 0 {
		field("Diagnostic-Code", "smtp; "+to.Reply.String())
	}
	if !r.Until.IsZero() && (kind == Held || kind == Delayed) {
		field("Will-Retry-Until", r.Until.Format(dateFormat))
	}
}

var actions = map[Kind]string{Failed: "failed", Delayed: "delayed", Stripped: "failed", Held: "delayed", Relayed: "relayed"}

// status returns the enhanced code (RFC 3463), which must agree with the
// action: RFC 3464 section 2.3.4.
func status(reply fault.Reply, kind Kind) string {
	e := reply.Enhanced
	class := 5
	switch kind {
	case Delayed, Held:
		class = 4
	case Relayed:
		class = 2
	}
	if e[0] != class {
		return fmt.Sprintf("%d.0.0", class)
	}
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// header returns the header of the message as it may go back: without those who
// are hidden, and cut to a size.
func (r *Report) header() []byte {
	var b bytes.Buffer
	if r.Original == nil {
		for _, f := range [][2]string{{"Message-ID", r.MessageID}, {"Date", r.Date}} {
			if f[1] != "" {
				fmt.Fprintf(&b, "%s: %s\r\n", f[0], printable(f[1]))
			}
		}
		return b.Bytes()
	}
	for _, f := range r.Original.Fields() {
		if f.NamesHidden() || b.Len()+len(f.Raw) > maxHeader {
			continue
		}
		b.Write(message.Canonical(bytes.TrimRight(f.Raw, "\r\n")))
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// quoted encodes text as quoted-printable (RFC 2045 section 6.7).
func quoted(text []byte) []byte {
	text = message.Canonical(text)
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	// Writing to memory does not fail.
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}
