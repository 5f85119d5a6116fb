package smtpd

import (
	"bytes"

	"github.com/smimerelay/smimerelay/smime/message"
)

// scanner looks for carriage returns and line feeds that stand alone. In a
// message they mean different things to different servers: one sees the end of
// the message where another sees text, and a second message passes that no one
// sent ("SMTP smuggling"). RFC 5321 section 2.3.8 forbids them.
type scanner struct {
	cr   bool // the octet before was CR
	bare bool
}

func (s *scanner) write(p []byte) {
	if s.bare || len(p) == 0 {
		return
	}
	if s.cr {
		if p[0] != '\n' {
			s.bare = true
			return
		}
		p = p[1:]
	}
	s.cr = bytes.HasSuffix(p, []byte("\r"))
	s.bare = bareLineEnd(bytes.TrimSuffix(p, []byte("\r")))
}

// bareLineEnd reports whether text has a CR without LF or an LF without CR.
func bareLineEnd(text []byte) bool { return !message.ScanLines(text).CRLF }
