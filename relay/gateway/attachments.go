package gateway

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"unicode"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/charset"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/cms"
	"github.com/smimerelay/smimerelay/smime/message"
)

// attachments lists what a message carries besides its text, also inside of
// messages and of signatures that anybody can read. What cannot be looked into is
// listed as something that may hold anything. encrypted says that the whole message
// is, and has nothing that anybody could read. memory is asked for what
// it takes; the error is that it refused.
func attachments(msg *message.Message, encrypted bool, memory relay.Reserver) ([]enforce.Attachment, error) {
	s := search{encrypted: encrypted, memory: memory}
	s.part(msg.Root())
	return s.found, s.err
}

// The limits of a search. Beyond them may be anything.
const (
	maxSearchDepth = 12
	maxSearchParts = 2000
)

// search goes through the parts of a message.
type search struct {
	found     []enforce.Attachment
	depth     int
	parts     int
	encrypted bool
	// memory is relay.MemoryOf; err is set once it has refused.
	memory relay.Reserver
	err    error
}

// unread notes that something of the type may hold anything.
func (s *search) unread(mediaType string) {
	s.found = append(s.found, enforce.Attachment{MediaType: mediaType, Unread: true})
}

func (s *search) part(p *message.Part) {
	if s.err != nil {
		return
	}
	if s.parts++; s.parts > maxSearchParts || s.depth > maxSearchDepth {
		s.unread(p.MediaType)
		return
	}
	s.named(p)
	s.hidden(p)
	for _, c := range p.Children {
		s.part(c)
	}
}

// named lists a part under every type and name that some reader may see.
func (s *search) named(p *message.Part) {
	names := p.Names()
	if len(names) == 0 {
		if len(p.Children) > 0 || p.Multipart() || strings.HasPrefix(p.MediaType, "text/") && len(p.All("Content-Type")) < 2 {
			return
		}
		names = []message.Name{{}}
	}
	seen := make(map[enforce.Attachment]bool)
	var readings []enforce.Attachment
	for _, mediaType := range mediaTypes(p) {
		for _, n := range names {
			a := enforce.Attachment{MediaType: mediaType, Name: fileName(n.Text), Unread: n.Unread}
			if !seen[a] {
				seen[a], readings = true, append(readings, a)
			}
		}
	}
	for _, a := range readings {
		a.Doubtful = len(readings) > 1
		s.found = append(s.found, a)
	}
}

// mediaTypes returns the types of a part: that of each Content-Type.
func mediaTypes(p *message.Part) []string {
	types := []string{p.MediaType}
	for i, value := range p.All("Content-Type") {
		if head, _, _ := strings.Cut(value, ";"); i > 0 {
			types = append(types, strings.ToLower(strings.TrimSpace(head)))
		}
	}
	return types
}

// fileName returns a name as it will be one of a file: without a path, and without
// what Windows drops from its end.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	return strings.TrimSpace(strings.TrimRightFunc(s, func(r rune) bool { return r == '.' || unicode.IsSpace(r) }))
}

// hidden goes into what is no part of the tree and is one for some reader.
func (s *search) hidden(p *message.Part) {
	_, isMessage := strings.CutPrefix(p.MediaType, "message/")
	inner, err := s.readable(p)
	switch {
	case errors.Is(err, cms.ErrMemory):
		s.err = relay.NoMemory(s.memory, err)
	case err != nil:
		s.unread(p.MediaType)
	case inner != nil:
		s.within(inner)
	case p.MediaType == "application/ms-tnef" || fileName(p.Filename()) == "winmail.dat":
		s.tnef(p)
	case p.MediaType == "message/partial":
		s.unread(p.MediaType) // RFC 2046 section 5.2.2: its structure is elsewhere
	case p.Multipart() && len(p.Children) == 0:
		s.encoded(p, message.WriteHeader(typeOf(p)))
	case isMessage && len(p.Children) == 0 && !fieldsOnly[p.MediaType]:
		s.encoded(p, nil)
	case strings.HasPrefix(p.MediaType, "text/") || p.Defect != "":
		s.uuencoded(p)
	}
}

// readable returns the message that a CMS object shows to everybody; nil if none.
func (s *search) readable(p *message.Part) (*message.Message, error) {
	if s.encrypted {
		return nil, nil
	}
	return smime.Readable(p, s.memory.Reserve)
}

// fieldsOnly are messages that are none.
var fieldsOnly = map[string]bool{
	"message/delivery-status": true, "message/global-delivery-status": true, "message/global-headers": true,
	"message/disposition-notification": true, "message/global-disposition-notification": true,
	"message/external-body": true, "message/feedback-report": true,
}

// typeOf returns the Content-Type of a part.
func typeOf(p *message.Part) (fields []message.Field) {
	for _, f := range p.Fields {
		if f.Is("Content-Type") {
			fields = append(fields, f)
		}
	}
	return fields
}

// encoded goes into a message or a multipart that has a transfer encoding, which
// RFC 2045 section 6.4 forbids and readers undo.
func (s *search) encoded(p *message.Part, header []byte) {
	text, err := p.Decode()
	identity := p.Encoding == "7bit" || p.Encoding == "8bit" || p.Encoding == "binary"
	if err != nil || identity {
		s.unread(p.MediaType)
		return
	}
	m, err := message.Parse(append(header, text...))
	if err != nil {
		s.unread(p.MediaType)
		return
	}
	s.within(m)
}

func (s *search) within(m *message.Message) {
	s.depth++
	s.part(m.Root())
	s.depth--
}

// begins is how a file begins that stands in the text: uuencode, and yEnc.
var begins = regexp.MustCompile(`(?m)^(?:begin(?:-base64)? [0-7]{3,4} |=ybegin .*name=)([^\r\n]+)`)

// uuencoded lists the files that stand in a text, which some programs show as
// attachments.
func (s *search) uuencoded(p *message.Part) {
	if p.Encoding != "base64" && !bytes.Contains(p.Content(), []byte("begin")) {
		return
	}
	text, err := p.Decode()
	if err != nil {
		return
	}
	for _, m := range begins.FindAllSubmatch(text, maxSearchParts) {
		name, ok := charset.Header(string(m[1]))
		s.found = append(s.found, enforce.Attachment{MediaType: "application/octet-stream", Name: fileName(name), Unread: !ok})
	}
}

// tnef lists the files in Outlook's own format. Their long names stand where only
// Outlook looks.
func (s *search) tnef(p *message.Part) {
	content, err := p.Decode()
	if err != nil {
		s.unread(p.MediaType)
		return
	}
	if t, ok := readTNEF(content); !ok || t.files {
		s.unread(p.MediaType)
	}
}
