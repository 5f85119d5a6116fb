package milter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-milter"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

type world struct {
	t       *testing.T
	handler *wiretest.Handler
	sink    *wiretest.Sink
	addr    string
	server  *Server
}

func start(t *testing.T, c Config) *world {
	t.Helper()
	w := &world{t: t, handler: &wiretest.Handler{}, sink: &wiretest.Sink{}}
	if c.Handler == nil {
		c.Handler = w.handler
	} else {
		w.handler = c.Handler.(*wiretest.Handler)
	}
	if c.Queue == nil {
		c.Queue = w.sink
	}
	c.Listener = "door"
	c.Hostname = "gw.example.com"
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	w.server = NewServer(c)
	w.addr = wiretest.Start(t, w.server)
	return w
}

// allSteps is what Postfix 3.7 offers.
const allSteps = 0x1fffff

// mta is the other side of the protocol, and keeps the message as an MTA does:
// its own Received field first, which it does not show.
type mta struct {
	t testing.TB
	net.Conn
	r     *bufio.Reader
	steps milter.OptProtocol

	header     [][2]string // name, and what follows the colon, with LF
	body       string
	newBody    *strings.Builder
	recipients []string
	sender     string            // that CHGFROM set, with its arguments
	arguments  map[string]string // of recipients that were added
}

func (w *world) dial() *mta { return w.dialOffering(0x1ff, allSteps) }

func (w *world) dialOffering(actions, steps uint32) *mta {
	w.t.Helper()
	return begin(w.t, wiretest.Dial(w.t, w.addr), actions, steps)
}

// begin is an MTA up to the first message.
func begin(t *testing.T, c net.Conn, actions, steps uint32) *mta {
	t.Helper()
	m := newMTA(t, c)
	m.negotiate(actions, steps)
	m.macros('C', "j", "mail.example.com", "{client_addr}", "192.0.2.1")
	m.send('C', "client.example.org\x004\x00\x19"+"192.0.2.1\x00")
	m.quiet(milter.OptNoConnReply)
	m.macros('H', "{tls_version}", "TLSv1.3")
	m.send('H', "helo.example.org\x00")
	m.quiet(milter.OptNoHeloReply)
	return m
}

func newMTA(t testing.TB, c net.Conn) *mta {
	return &mta{t: t, Conn: c, r: bufio.NewReader(c)}
}

func (m *mta) send(code byte, data string) {
	m.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))
	b = append(append(b, code), data...)
	if _, err := m.Conn.Write(b); err != nil {
		m.t.Fatalf("sending %c: %v", code, err)
	}
}

func (m *mta) macros(stage byte, pairs ...string) {
	m.t.Helper()
	m.send('D', string(stage)+strings.Join(pairs, "\x00")+"\x00")
}

func (m *mta) receive() (byte, string) {
	m.t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(m.r, head[:]); err != nil {
		m.t.Fatalf("reading a packet: %v", err)
	}
	data := make([]byte, binary.BigEndian.Uint32(head[:])-1)
	if _, err := io.ReadFull(m.r, data); err != nil {
		m.t.Fatalf("reading a packet: %v", err)
	}
	return head[4], string(data)
}

func (m *mta) negotiate(actions, steps uint32) {
	m.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, 6)
	b = binary.BigEndian.AppendUint32(b, actions)
	b = binary.BigEndian.AppendUint32(b, steps)
	m.send('O', string(b))
	code, data := m.receive()
	if code != 'O' || len(data) < 12 {
		m.t.Fatalf("negotiation answered with %c %q", code, data)
	}
	if got := binary.BigEndian.Uint32([]byte(data[4:])); got&^actions != 0 {
		m.t.Fatalf("actions %#x were not offered: %#x", got, actions)
	}
	m.steps = milter.OptProtocol(binary.BigEndian.Uint32([]byte(data[8:])))
	if m.steps&^milter.OptProtocol(steps) != 0 {
		m.t.Fatalf("steps %#x were not offered: %#x", m.steps, steps)
	}
}

// quiet reads the answer "continue" where one was agreed on.
func (m *mta) quiet(step milter.OptProtocol) {
	m.t.Helper()
	if m.steps&step != 0 {
		return
	}
	if code, data := m.receive(); code != 'c' {
		m.t.Fatalf("answer %c %q", code, data)
	}
}

func (m *mta) mail(from string, macros ...string) {
	m.t.Helper()
	m.macros('M', append([]string{"{auth_authen}", "alice", "{mail_addr}", from}, macros...)...)
	m.send('M', "<"+from+">\x00SIZE=100\x00")
	m.quiet(milter.OptNoMailReply)
	m.recipients = nil
}

// rcpt returns the answer, "c" or the reply.
func (m *mta) rcpt(to string) string {
	m.t.Helper()
	m.macros('R', "i", "4XYZ", "{rcpt_addr}", to)
	m.send('R', "<"+to+">\x00")
	code, data := m.receive()
	if code == 'c' {
		m.recipients = append(m.recipients, to)
		return "c"
	}
	return string(code) + strings.TrimSuffix(data, "\x00")
}

// message sends a message and returns the final answer; the edits are done.
func (m *mta) message(text string) string {
	m.t.Helper()
	m.content(text)
	m.macros('E', "i", "4XYZ")
	m.send('E', "")
	return m.verdict()
}

func (m *mta) content(text string) {
	m.t.Helper()
	header, body, _ := strings.Cut(text, "\r\n\r\n")
	m.header = [][2]string{{"Received", " from nobody"}}
	for field := range strings.SplitSeq(strings.ReplaceAll(header, "\r\n\t", "\n\t"), "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		m.header = append(m.header, [2]string{name, value})
		sent := value
		if m.steps&milter.OptHeaderLeadingSpace == 0 {
			sent = strings.TrimPrefix(value, " ")
		}
		m.send('L', name+"\x00"+sent+"\x00")
		m.quiet(milter.OptNoHeaderReply)
	}
	m.send('N', "")
	m.quiet(milter.OptNoEOHReply)
	m.body, m.newBody = body, nil
	for len(body) > 0 {
		n := min(len(body), 65535)
		m.send('B', body[:n])
		m.quiet(milter.OptNoBodyReply)
		body = body[n:]
	}
}

// verdict applies the edits up to the final answer.
func (m *mta) verdict() string {
	m.t.Helper()
	for {
		code, data := m.receive()
		switch code {
		case 'i', 'm':
			index := int(binary.BigEndian.Uint32([]byte(data)))
			f := strings.Split(data[4:], "\x00")
			if len(f) != 3 || f[2] != "" || strings.Contains(f[1], "\r") {
				m.t.Fatalf("edit %c %q", code, data)
			}
			if code == 'i' {
				m.insert(index, f[0], f[1])
			} else {
				m.change(index, f[0], f[1])
			}
		case 'b':
			if m.newBody == nil {
				m.newBody = &strings.Builder{}
			}
			if len(data) > 65535 || strings.HasSuffix(data, "\r") {
				m.t.Fatalf("chunk of %d octets", len(data))
			}
			m.newBody.WriteString(data)
		case '-':
			to := strings.TrimSuffix(strings.TrimPrefix(data, "<"), ">\x00")
			m.recipients = slices.DeleteFunc(m.recipients, func(r string) bool { return r == to })
		case 'e':
			m.sender = strings.TrimSuffix(data, "\x00")
		case '2':
			to, args, _ := strings.Cut(strings.TrimSuffix(data, "\x00"), "\x00")
			to = strings.Trim(to, "<>")
			m.recipients = append(m.recipients, to)
			if m.arguments == nil {
				m.arguments = map[string]string{}
			}
			m.arguments[to] = args
		case 'a', 'c', 'd', 'r', 't', 'y':
			return string(code) + strings.TrimSuffix(data, "\x00")
		default:
			m.t.Fatalf("unexpected packet %c %q", code, data)
		}
	}
}

// insert counts all fields from 0; past the end it appends.
func (m *mta) insert(index int, name, value string) {
	if m.steps&milter.OptHeaderLeadingSpace == 0 {
		value = " " + value
	}
	m.header = slices.Insert(m.header, min(index, len(m.header)), [2]string{name, value})
}

// change counts the fields of a name from 1, without our own.
func (m *mta) change(index int, name, value string) {
	for i, f := range m.header {
		if i == 0 || !strings.EqualFold(f[0], name) {
			continue
		}
		if index--; index == 0 {
			if value != "" {
				m.t.Fatalf("a field was changed, not deleted: %q", value)
			}
			m.header = slices.Delete(m.header, i, i+1)
			return
		}
	}
	m.t.Fatalf("no field %q to delete", name)
}

// text is the message as it stands, without our own field.
func (m *mta) text() string {
	var b strings.Builder
	for _, f := range m.header[1:] {
		fmt.Fprintf(&b, "%s:%s\r\n", f[0], strings.ReplaceAll(f[1], "\n", "\r\n"))
	}
	b.WriteString("\r\n")
	if m.newBody != nil {
		b.WriteString(m.newBody.String())
	} else {
		b.WriteString(m.body)
	}
	return b.String()
}

func (m *mta) gone() {
	m.t.Helper()
	var b bytes.Buffer
	_, err := io.Copy(&b, m.r)
	if b.Len() > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		m.t.Fatalf("%q (%v) instead of the end", b.Bytes(), err)
	}
}
