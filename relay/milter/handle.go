package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/emersion/go-milter"
)

// The codes that the library has no name for.
const codeUnknown = 'U' // a command that the MTA does not know (SMFIC_UNKNOWN)

// Answers without data.
var (
	accept  = packet{code: byte(milter.ActAccept)}
	proceed = packet{code: byte(milter.ActContinue)}
	discard = packet{code: byte(milter.ActDiscard)}
)

// handle does what one packet asks for, and answers where an answer is due. An error
// ends the connection, and the MTA does with its message what it does without a filter.
// The data of the packet is not kept: its buffer is used again.
func (s *session) handle(p packet) error {
	switch milter.Code(p.code) {
	case milter.CodeMacro:
		return s.learn(p.data)
	case milter.CodeConn:
		if err := s.connect(p.data); err != nil {
			return err
		}
		return s.proceed(milter.OptNoConnReply)
	case milter.CodeHelo:
		s.helo(cstring(p.data))
		return s.proceed(milter.OptNoHeloReply)
	case milter.CodeMail:
		s.mailFrom(path(p.data), arguments(p.data))
		return s.proceed(milter.OptNoMailReply)
	case milter.CodeRcpt:
		return s.conn.writePacket(s.rcptTo(path(p.data), arguments(p.data)))
	case milter.CodeHeader:
		if err := s.header(p.data); err != nil {
			return err
		}
		return s.proceed(milter.OptNoHeaderReply)
	case milter.CodeEOH:
		s.endHeader()
		return s.proceed(milter.OptNoEOHReply)
	case milter.CodeBody:
		s.body(p.data)
		return s.proceed(milter.OptNoBodyReply)
	case milter.CodeEOB:
		// The last chunk of the body may come with its end.
		if len(p.data) > 0 {
			s.body(p.data)
		}
		return s.end()
	}
	return s.control(p.code)
}

// control handles what belongs to no stage of a message.
func (s *session) control(code byte) error {
	switch code {
	case byte(milter.CodeAbort):
		s.forget()
		s.macros = macros{}
		return nil
	case byte(milter.CodeQuit):
		return errQuit
	case byte(milter.CodeData), codeUnknown:
		return s.conn.writePacket(proceed)
	}
	return fmt.Errorf("packet %q is not known", code)
}

// proceed answers at a stage where nothing is ever refused: with nothing, if the MTA
// agreed to that.
func (s *session) proceed(step milter.OptProtocol) error {
	if s.quiet&step != 0 {
		return nil
	}
	return s.conn.writePacket(proceed)
}

// connect reads the packet of a new client: its name, the family of its address, a
// port where there is one, and the address.
func (s *session) connect(data []byte) error {
	_, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || len(rest) == 0 {
		return fmt.Errorf("connect packet %q is cut", data)
	}
	family, rest := rest[0], rest[1:]
	if family == byte(milter.FamilyInet) || family == byte(milter.FamilyInet6) {
		if len(rest) < 2 {
			return fmt.Errorf("connect packet %q is cut", data)
		}
		rest = rest[2:] // the port
	}
	addr, _ := netip.ParseAddr(cstring(rest)) // the zero Addr is "not known"
	s.connected(addr.Unmap().WithZone(""))
	return nil
}

// header reads the packet of a header field: its name and its value.
func (s *session) header(data []byte) error {
	name, value, ok := bytes.Cut(data, []byte{0})
	value = bytes.TrimSuffix(value, []byte{0})
	if !ok || len(name) == 0 || bytes.IndexByte(value, 0) >= 0 {
		return fmt.Errorf("header packet of %d octets does not hold a name and a value", len(data))
	}
	s.field(name, value)
	return nil
}

// macros are what the MTA tells beside a stage: those of its last packet of them.
type macros struct{ mta, queueID, user, tls string }

// learn reads a packet of macros: the stage that they belong to, then names and
// values in turn. Most MTAs send more than they were asked for.
func (s *session) learn(data []byte) error {
	if len(data) == 0 {
		return errors.New("macro packet without a stage")
	}
	before := s.macros
	s.macros = macros{}
	for data = data[1:]; len(data) > 0; {
		var name, value []byte
		name, data, _ = bytes.Cut(data, []byte{0})
		value, data, _ = bytes.Cut(data, []byte{0})
		switch string(name) {
		case "j":
			s.macros.mta = macro(value, before.mta)
		case "i":
			s.macros.queueID = macro(value, before.queueID)
		case "{auth_authen}":
			s.macros.user = macro(value, before.user)
		case "{tls_version}":
			s.macros.tls = macro(value, before.tls)
		}
	}
	return nil
}

// macro returns a value as a string: the one of the stage before, if it is the same, as
// queue ids are at each.
func macro(value []byte, before string) string {
	if string(value) == before {
		return before
	}
	return string(value)
}

// cstring returns what stands before the first NUL.
func cstring(data []byte) string {
	text, _, _ := bytes.Cut(data, []byte{0})
	return string(text)
}

// path returns the path of a MAIL or RCPT packet, without its brackets.
func path(data []byte) string { return strings.Trim(cstring(data), "<>") }

// packet is the answer to the MTA's offer: version, actions, steps, and for each
// stage the macros that are asked for.
func (o options) packet() packet {
	data := binary.BigEndian.AppendUint32(make([]byte, 0, 256), version)
	data = binary.BigEndian.AppendUint32(data, uint32(o.actions))
	data = binary.BigEndian.AppendUint32(data, uint32(o.protocol))
	if o.actions&milter.OptSetSymList != 0 {
		for _, w := range wantedMacros {
			data = binary.BigEndian.AppendUint32(data, uint32(w.stage))
			data = append(append(data, w.names...), 0)
		}
	}
	return packet{code: byte(milter.CodeOptNeg), data: data}
}
