package message

import (
	"bytes"
	"errors"
	"slices"
)

var (
	errDepth  = errors.New("MIME parts nested too deeply")
	errParts  = errors.New("too many MIME parts")
	errFields = errors.New("too many header fields")
)

// scanner builds the MIME tree in one pass over the bytes: it looks for lines
// that start with "--" and compares each with the delimiters of the multiparts
// that are open, of which there are at most maxDepth. An outer delimiter ends
// everything inside (RFC 2046 section 5.1.2).
type scanner struct {
	raw    []byte
	source *source // of raw, see ParseLarge
	open   []frame // from the root to the part being read
	parts  int
	fields int
}

// frame is a part whose end was not seen yet.
type frame struct {
	part *Part
	// delimiter is "--" and the boundary; nil if the part is no multipart or
	// its closing delimiter has passed.
	delimiter []byte
}

// scan returns the root. Only a root header that cannot be read is an error.
func (s *scanner) scan() (*Part, error) {
	h := readHeader(s.raw, 0, func(int) bool { return false })
	if h.err != nil {
		return nil, h.err
	}
	root, err := s.push(0, "text/plain", h)
	if err != nil {
		return nil, err
	}
	if err := s.tree(); err != nil {
		root.Children, root.End = nil, len(s.raw)
		root.ambiguous(err.Error())
	}
	return root, nil
}

// tree reads everything below the root.
func (s *scanner) tree() error {
	if err := s.descend(s.open[0].part); err != nil {
		return err
	}
	for pos := s.here(); s.delimited(); {
		d, ok := s.next(pos)
		if !ok {
			break
		}
		s.close(d.level+1, d.end)
		pos = d.after
		if d.closing {
			s.open[d.level].delimiter = nil
			s.open[d.level].part.Closed = true
			continue
		}
		if err := s.child(d); err != nil {
			return err
		}
		pos = s.here()
	}
	s.close(0, len(s.raw))
	return nil
}

// delimited reports whether a delimiter can follow. Most of what is large is the content of
// a message that has one part, or stands behind the last: it is not gone through.
func (s *scanner) delimited() bool {
	return slices.ContainsFunc(s.open, func(f frame) bool { return f.delimiter != nil })
}

// here is where the content of the innermost part starts.
func (s *scanner) here() int { return s.open[len(s.open)-1].part.Body }

// child begins the part behind the delimiter d.
func (s *scanner) child(d delimiter) error {
	fallback := "text/plain"
	if s.open[d.level].part.MediaType == "multipart/digest" {
		fallback = "message/rfc822"
	}
	p, err := s.push(d.after, fallback, readHeader(s.raw, d.after, s.stop))
	if err != nil {
		return err
	}
	return s.descend(p)
}

// descend opens the message in p, and the message in that, and so on.
func (s *scanner) descend(p *Part) error {
	for p.container() {
		var err error
		if p, err = s.push(p.Body, "text/plain", readHeader(s.raw, p.Body, s.stop)); err != nil {
			return err
		}
	}
	return nil
}

// push opens one part below the innermost open one.
func (s *scanner) push(start int, fallback string, h header) (*Part, error) {
	s.parts++
	s.fields += len(h.fields)
	switch {
	case len(s.open) == maxDepth:
		return nil, errDepth
	case s.parts > maxParts:
		return nil, errParts
	case s.fields > maxFields:
		return nil, errFields
	}
	p := &Part{Fields: h.fields, Start: start, Body: h.body, raw: s.raw, source: s.source}
	if h.err != nil {
		p.defect(h.err.Error())
	}
	p.describe(fallback)
	if n := len(s.open); n > 0 {
		parent := s.open[n-1].part
		parent.Children = append(parent.Children, p)
	}
	f := frame{part: p}
	if p.Multipart() && p.Defect == "" {
		f.delimiter = []byte("--" + p.Params["boundary"])
	}
	s.open = append(s.open, f)
	return p, nil
}

// close ends the open parts from level on at end. Where that is before the empty
// line of a header, or the line end of its last field, these belong to the
// delimiter, and there is no content (RFC 2046 section 5.1.1: body-part).
func (s *scanner) close(level, end int) {
	for _, f := range s.open[level:] {
		f.part.End = max(end, f.part.Start)
		f.part.Body = min(f.part.Body, f.part.End)
	}
	s.open = s.open[:level]
}

// delimiter is a delimiter line that was found.
type delimiter struct {
	level   int // of the multipart it belongs to
	closing bool
	end     int // where the content before it ends, without the line end
	after   int // behind the line
}

// next finds the first delimiter line at or after pos, which starts a line. It
// looks for hyphens, which are rare in what is large; one that starts no line
// costs a look for the end of its line, so that the time stays linear.
func (s *scanner) next(pos int) (delimiter, bool) {
	for pos < len(s.raw) {
		i := bytes.IndexByte(s.raw[pos:], '-')
		if i < 0 {
			break
		}
		if pos += i; pos == 0 || s.raw[pos-1] == '\n' {
			if d, ok := s.match(pos); ok {
				return d, true
			}
		}
		end, eol := line(s.raw, pos)
		if eol == 0 {
			break
		}
		pos = end
	}
	return delimiter{}, false
}

// match compares the line at pos with the open delimiters, innermost first.
func (s *scanner) match(pos int) (delimiter, bool) {
	if !bytes.HasPrefix(s.raw[pos:], []byte("--")) {
		return delimiter{}, false
	}
	for level := len(s.open) - 1; level >= 0; level-- {
		delim := s.open[level].delimiter
		if delim == nil || !bytes.HasPrefix(s.raw[pos:], delim) {
			continue
		}
		if closing, after, ok := s.rest(pos + len(delim)); ok {
			return delimiter{level: level, closing: closing, end: s.before(pos), after: after}, true
		}
	}
	return delimiter{}, false
}

// rest reads what may follow a boundary: "--", white space, the line end.
func (s *scanner) rest(pos int) (closing bool, after int, ok bool) {
	if closing = bytes.HasPrefix(s.raw[pos:], []byte("--")); closing {
		pos += 2
	}
	for pos < len(s.raw) && (s.raw[pos] == ' ' || s.raw[pos] == '\t') {
		pos++
	}
	if pos == len(s.raw) {
		return closing, pos, true
	}
	end, eol := line(s.raw, pos)
	return closing, end, end-pos == eol
}

// before is the position of the line end before the line at pos.
func (s *scanner) before(pos int) int {
	if pos > 0 && s.raw[pos-1] == '\n' {
		pos--
		if pos > 0 && s.raw[pos-1] == '\r' {
			pos--
		}
	}
	return pos
}

// stop reports whether the line at pos is a delimiter line: it ends a header
// that has no empty line.
func (s *scanner) stop(pos int) bool {
	_, ok := s.match(pos)
	return ok
}
