package smtpd

import "bytes"

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
	if s.cr && p[0] != '\n' {
		s.bare = true
		return
	}
	// Every LF must follow a CR, and every CR must precede an LF: then their
	// numbers and their pairs agree.
	pairs := bytes.Count(p, []byte("\r\n"))
	lf, cr := bytes.Count(p, []byte("\n")), bytes.Count(p, []byte("\r"))
	if s.cr {
		pairs++
		cr++
	}
	s.cr = p[len(p)-1] == '\r'
	if s.cr {
		cr--
	}
	s.bare = lf != pairs || cr != pairs
}

// bareLineEnd reports whether text has a CR without LF or an LF without CR.
func bareLineEnd(text []byte) bool {
	var s scanner
	s.write(text)
	return s.bare || s.cr
}
