package oracle

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/milter"
	"github.com/smimerelay/smimerelay/relay/smtpd"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// server is a listener of the gateway.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

func newListener(w *world, name string) listener {
	w.t.Helper()
	log := slog.New(slog.DiscardHandler)
	clock := func() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }
	switch name {
	case "smtp", "lmtp":
		s := smtpd.NewServer(smtpd.Config{Listener: "in", Hostname: "gw.own.example", LMTP: name == "lmtp",
			Handler: w.gateway, Queue: w.hop, Deliverer: w.hop, Log: log, Clock: clock})
		return newSMTP(w.t, start(w.t, s), map[string]string{"smtp": "EHLO", "lmtp": "LHLO"}[name])
	}
	s := milter.NewServer(milter.Config{Listener: "in", Hostname: "gw.own.example", Handler: w.gateway, Queue: w.hop, Log: log, Clock: clock})
	actions := uint32(0x1ff)
	if name != "milter" {
		actions = 0x3f
	}
	return &mta{t: w.t, addr: start(w.t, s), actions: actions, hop: w.hop}
}

func start(t *testing.T, s server) string {
	t.Helper()
	ln := testpki.Must(net.Listen("tcp", "127.0.0.1:0"))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		<-done
	})
	return ln.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c := testpki.Must(net.Dial("tcp", addr))
	if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

// client speaks SMTP or LMTP.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newSMTP(t *testing.T, addr, hello string) *client {
	c := &client{t: t, Conn: dial(t, addr)}
	t.Cleanup(func() { c.Close() })
	c.r = bufio.NewReader(c)
	c.reply()
	c.command(hello + " client.evil.example")
	return c
}

func (c *client) command(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	return c.reply()
}

func (c *client) reply() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' {
			return all.String()
		}
	}
}

func (c *client) send(from, to, mailArgs, rcptArgs string, msg []byte) []string {
	answers := []string{c.command(strings.TrimSpace("MAIL FROM:<" + from + "> " + mailArgs)), c.command(strings.TrimSpace("RCPT TO:<" + to + "> " + rcptArgs))}
	c.command("DATA")
	text := strings.ReplaceAll("\r\n"+string(msg), "\r\n.", "\r\n..")[2:]
	if !strings.HasSuffix(text, "\r\n") {
		text += "\r\n"
	}
	return append(answers, c.command(text+"."))
}

// mta is an MTA with a milter, which delivers what the milter leaves of a message.
type mta struct {
	t       *testing.T
	addr    string
	actions uint32
	hop     *hop
	conn    net.Conn
	r       *bufio.Reader
}

func (m *mta) packet(code byte, data string) {
	m.t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))
	if _, err := m.conn.Write(append(append(b, code), data...)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mta) receive() (byte, string) {
	m.t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(m.r, head[:]); err != nil {
		m.t.Fatal(err)
	}
	data := make([]byte, binary.BigEndian.Uint32(head[:])-1)
	if _, err := io.ReadFull(m.r, data); err != nil {
		m.t.Fatal(err)
	}
	return head[4], string(data)
}

// connect begins a session with the milter; none is needed for each message.
func (m *mta) connect() {
	if m.conn != nil {
		return
	}
	m.conn = dial(m.t, m.addr)
	m.t.Cleanup(func() { m.conn.Close() })
	m.r = bufio.NewReader(m.conn)
	b := binary.BigEndian.AppendUint32(nil, 6)
	b = binary.BigEndian.AppendUint32(b, m.actions)
	m.packet('O', string(binary.BigEndian.AppendUint32(b, 0x1fffff)))
	m.receive()
	m.packet('D', "Cj\x00mx.own.example\x00")
	m.packet('C', "client.evil.example\x004\x00\x19198.51.100.1\x00")
	m.packet('H', "client.evil.example\x00")
}

func (m *mta) send(from, to, mailArgs, rcptArgs string, msg []byte) []string {
	m.t.Helper()
	m.connect()
	args := func(s string) string { return strings.ReplaceAll(s, " ", "\x00") + "\x00" }
	m.packet('M', "<"+from+">\x00"+args(mailArgs))
	m.packet('R', "<"+to+">\x00"+args(rcptArgs))
	if code, data := m.receive(); code != 'c' {
		return []string{string(code) + data}
	}
	parsed := parse(m.t, string(msg))
	for _, f := range parsed.Fields() {
		_, value, _ := strings.Cut(strings.TrimSuffix(string(f.Raw), "\r\n"), ":")
		m.packet('L', f.Name+"\x00"+strings.ReplaceAll(value, "\r\n", "\n")+"\x00")
	}
	m.packet('N', "")
	if body := string(parsed.Body()); body != "" {
		m.packet('B', body)
	}
	m.packet('E', "")
	d := relay.Delivery{Sender: parseAddress(m.t, from), Params: relay.MailParams{EnvID: "E1", Return: "FULL"}}
	if rcptArgs != "" {
		d.Recipients = []relay.Recipient{{Address: parseAddress(m.t, to), Notify: strings.Split(strings.TrimPrefix(rcptArgs, "NOTIFY="), ",")}}
	}
	return m.finish(d, parsed)
}

// finish applies the edits, and delivers the message if the milter leaves it to the
// MTA. A refusal by the next hop is a report of the MTA's.
func (m *mta) finish(d relay.Delivery, msg *message.Message) []string {
	m.t.Helper()
	e := newEdits(msg)
	for {
		code, data := m.receive()
		switch code {
		case 'e':
			from, args, _ := strings.Cut(strings.TrimSuffix(data, "\x00"), "\x00")
			d.Sender = parseAddress(m.t, strings.Trim(from, "<>"))
			d.Params.Return = strings.TrimPrefix(args, "RET=")
		case '-':
			d.Recipients = nil
		case '2':
			to, args, _ := strings.Cut(strings.TrimSuffix(data, "\x00"), "\x00")
			d.Recipients = []relay.Recipient{{Address: parseAddress(m.t, strings.Trim(to, "<>")), Notify: strings.Split(strings.TrimPrefix(args, "NOTIFY="), ",")}}
		case 'i', 'm', 'b':
			e.apply(code, data)
		case 'a':
			m.deliver(d, e.message(m.t))
			return []string{"250 ok"}
		case 'd':
			return []string{"250 ok"}
		default:
			return []string{fmt.Sprintf("%c %q", code, data)}
		}
	}
}

func (m *mta) deliver(d relay.Delivery, msg *message.Message) {
	d.Message = msg
	errs, _ := m.hop.Deliver(context.Background(), d)
	for i, err := range errs {
		r := d.Recipients[i]
		r.OriginalType, r.Original = "rfc822", r.Address.String()
		switch {
		case err != nil && asked(r, "FAILURE"):
			m.hop.report(d, r, "failed", "5.0.0", err.Error())
		case err != nil && asked(r, "DELAY"):
			m.hop.report(d, r, "delayed", "4.0.0", err.Error())
		}
	}
}

// edits is a message under the edits of a milter.
type edits struct {
	fields [][2]string
	body   string
	fresh  bool
}

func newEdits(msg *message.Message) *edits {
	e := &edits{body: string(msg.Body())}
	for _, f := range msg.Fields() {
		_, value, _ := strings.Cut(strings.TrimSuffix(string(f.Raw), "\r\n"), ":")
		e.fields = append(e.fields, [2]string{f.Name, strings.ReplaceAll(value, "\r\n", "\n")})
	}
	return e
}

func (e *edits) apply(code byte, data string) {
	if code == 'b' {
		if !e.fresh {
			e.fresh, e.body = true, ""
		}
		e.body += data
		return
	}
	index := int(binary.BigEndian.Uint32([]byte(data)))
	f := strings.Split(data[4:], "\x00")
	if code == 'i' {
		at := min(index-1, len(e.fields)) // 0 is the MTA's own trace field
		e.fields = append(e.fields[:at:at], append([][2]string{{f[0], f[1]}}, e.fields[at:]...)...)
		return
	}
	for i, have := range e.fields {
		if strings.EqualFold(have[0], f[0]) {
			if index--; index == 0 {
				e.fields = append(e.fields[:i:i], e.fields[i+1:]...)
				return
			}
		}
	}
}

func (e *edits) message(t *testing.T) *message.Message {
	var b strings.Builder
	for _, f := range e.fields {
		b.WriteString(f[0] + ":" + strings.ReplaceAll(f[1], "\n", "\r\n") + "\r\n")
	}
	return parse(t, b.String()+"\r\n"+e.body)
}

func parseAddress(t *testing.T, s string) address.Address {
	t.Helper()
	if s == "" {
		return address.Null
	}
	return testpki.Must(address.Parse(s))
}
