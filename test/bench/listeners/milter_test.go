package listeners

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-milter"
)

// bareProtocol is what the bare milter asks for: every event that a filter needs that
// looks at the whole message, and no answer before its end.
const bareProtocol = milter.OptNoUnknown | milter.OptNoData | milter.OptNoConnReply | milter.OptNoHeloReply |
	milter.OptNoMailReply | milter.OptNoRcptReply | milter.OptNoHeaderReply | milter.OptNoEOHReply |
	milter.OptNoBodyReply | milter.OptHeaderLeadingSpace

const bareActions = milter.OptAddHeader | milter.OptChangeHeader | milter.OptChangeBody

// maxChunk is the largest part of a body in one packet.
const maxChunk = 65535

// bareMilter is one connection of an MTA to a filter written for speed alone: it frames
// packets, gathers the message in one buffer, does the primitives of its job and sends
// edits of the size that the job needs. It checks nothing: it is no filter to use.
type bareMilter struct {
	r       *bufio.Reader
	w       *bufio.Writer
	job     *job
	message []byte
	body    int // where the body begins in message
}

// serveBareMilter serves connections until the listener is closed.
func serveBareMilter(ln net.Listener, name, identity string) error {
	job, err := newJob(name, identity)
	if err != nil {
		return err
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			m := &bareMilter{r: bufio.NewReaderSize(conn, 1<<17), w: bufio.NewWriterSize(conn, 1<<17), job: job.fresh()}
			_ = m.serve() // io.EOF at the end of the connection
		}()
	}
}

func (m *bareMilter) serve() error {
	for {
		head, err := m.r.Peek(5)
		if err != nil {
			return err
		}
		n, code := int(binary.BigEndian.Uint32(head))-1, head[4]
		if _, err := m.r.Discard(5); err != nil {
			return err
		}
		data, err := m.r.Peek(n)
		if err != nil {
			return err
		}
		if code == 'Q' {
			return io.EOF
		}
		m.handle(code, data)
		if _, err := m.r.Discard(n); err != nil {
			return err
		}
		if m.w.Buffered() > 0 {
			if err := m.w.Flush(); err != nil {
				return err
			}
		}
	}
}

func (m *bareMilter) handle(code byte, data []byte) {
	switch code {
	case 'O':
		var answer [12]byte
		binary.BigEndian.PutUint32(answer[:], 6)
		binary.BigEndian.PutUint32(answer[4:], uint32(bareActions))
		binary.BigEndian.PutUint32(answer[8:], uint32(bareProtocol)&binary.BigEndian.Uint32(data[8:]))
		m.packet('O', answer[:])
	case 'M':
		m.message = m.message[:0]
	case 'L':
		for i, c := range data {
			if c == 0 {
				m.message = append(append(append(m.message, data[:i]...), ':'), data[i+1:len(data)-1]...)
				m.message = append(m.message, '\r', '\n')
				break
			}
		}
	case 'N':
		m.message = append(m.message, '\r', '\n')
		m.body = len(m.message)
	case 'B':
		m.message = append(m.message, data...)
	case 'E':
		m.job.run(m, m.message, m.body)
		m.packet('a', nil)
	}
}

func (m *bareMilter) packet(code byte, data []byte) {
	head := binary.BigEndian.AppendUint32(m.w.AvailableBuffer(), uint32(len(data)+1))
	_, _ = m.w.Write(append(head, code)) // what fails is reported by Flush
	_, _ = m.w.Write(data)
}

// addField adds a header field, and replaceField replaces one.
func (m *bareMilter) addField(name, value string) {
	m.packet('h', []byte(name+"\x00"+value+"\x00"))
}

func (m *bareMilter) replaceField(name, value string) {
	m.packet('m', []byte("\x00\x00\x00\x01"+name+"\x00"+value+"\x00"))
}

func (m *bareMilter) replaceBody(body []byte) {
	for len(body) > 0 {
		n := min(len(body), maxChunk)
		m.packet('b', body[:n])
		body = body[n:]
	}
}

// serveLibrary serves connections with the milter library and a filter that does nothing.
func serveLibrary(ln net.Listener) error {
	s := milter.Server{
		NewMilter: func() milter.Milter { return milter.NoOpMilter{} },
		Actions:   bareActions,
	}
	return s.Serve(ln)
}

// dial and listen take an address of the configuration's form.
func dial(address string) (net.Conn, error) {
	network, where := split(address)
	return net.Dial(network, where)
}

func listen(address string) (net.Listener, error) {
	network, where := split(address)
	return net.Listen(network, where)
}

func split(address string) (network, where string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}
