package smtpd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// world is a server with its surroundings.
type world struct {
	t       *testing.T
	handler *wiretest.Handler
	sink    *wiretest.Sink
	addr    string
	server  *Server
}

func start(t *testing.T, c Config) *world { return startFor(t, c, "") }

// startFor is start for clients that seem to be at peer; "" is where they are.
func startFor(t *testing.T, c Config, peer string) *world {
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
	if c.Deliverer == nil {
		c.Deliverer = w.sink
	}
	c.Hostname = "gw.example.com"
	c.Listener = "door"
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Clock = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	w.server = NewServer(c)
	w.addr = wiretest.Start(t, elsewhere{w.server, peer})
	return w
}

// elsewhere is a server whose clients come from another address.
type elsewhere struct {
	*Server
	peer string
}

func (e elsewhere) Serve(ln net.Listener) error { return e.Server.Serve(farListener{ln, e.peer}) }

type farListener struct {
	net.Listener
	peer string
}

func (l farListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.peer == "" {
		return c, err
	}
	return farConn{c, l.peer}, nil
}

type farConn struct {
	net.Conn
	peer string
}

func (c farConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(c.peer), Port: 4321} }

// peer speaks SMTP line by line.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (w *world) dial() *peer {
	w.t.Helper()
	c := wiretest.Dial(w.t, w.addr)
	p := &peer{t: w.t, Conn: c, r: bufio.NewReader(c)}
	p.expect("220 ")
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.t.Fatalf("sending %.80q: %v", text, err)
	}
}

// reply reads a whole reply.
func (p *peer) reply() string {
	p.t.Helper()
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			p.t.Fatalf("after %q: %v", b.String(), err)
		}
		if len(line) > 3 && line[3] == ' ' {
			return b.String()
		}
	}
}

func (p *peer) expect(prefix string) string {
	p.t.Helper()
	r := p.reply()
	if last := r[strings.LastIndexByte(r[:len(r)-1], '\n')+1:]; !strings.HasPrefix(last, prefix) {
		p.t.Fatalf("reply %q, want %q", r, prefix)
	}
	return r
}

// do sends a command line and expects a reply.
func (p *peer) do(line, prefix string) string {
	p.t.Helper()
	p.send(line + "\r\n")
	return p.expect(prefix)
}

func (p *peer) gone() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.r); err != nil || len(rest) > 0 {
		p.t.Fatalf("%q (%v) instead of the end", rest, err)
	}
}

func (p *peer) envelope(greeting string, to ...string) {
	p.t.Helper()
	if greeting != "" {
		p.do(greeting+" client.example.org", "250 ")
	}
	p.do("MAIL FROM:<a@example.org>", "250 ")
	for _, r := range to {
		p.do("RCPT TO:<"+r+">", "250 ")
	}
}

const text = "From: a@example.org\r\nSubject: x\r\n\r\nhello\r\n"

func TestRelay(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	ehlo := p.do("EHLO client.example.org", "250 ")
	for _, word := range []string{"8BITMIME", "SMTPUTF8", "DSN", "PIPELINING", "ENHANCEDSTATUSCODES"} {
		if !strings.Contains(ehlo, word) {
			t.Errorf("EHLO without %s: %q", word, ehlo)
		}
	}
	p.do("MAIL FROM:<a@example.org> RET=HDRS ENVID=e+2B1 BODY=8BITMIME SMTPUTF8", "250 ")
	p.do("RCPT TO:<b@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;c+2Bd@example.net", "250 ")
	p.do("DATA", "354 ")
	p.send(text + "..dot\r\n.\r\n")
	p.expect("250 2.0.0")
	p.do("QUIT", "221 ")

	all := w.sink.All()
	if len(all) != 1 {
		t.Fatalf("%d deliveries", len(all))
	}
	d := all[0]
	want := "Received: from client.example.org ([127.0.0.1])\r\n\tby gw.example.com (smimerelay) with UTF8SMTP id "
	got := string(d.Message.Bytes())
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\r\n\tfor <b@example.net>;\r\n\tFri, 2 Jan 2026 03:04:05 +0000\r\n"+text+".dot\r\n") {
		t.Errorf("message %q", got)
	}
	if d.Params != (relay.MailParams{EnvID: "e+1", Return: "HDRS", SMTPUTF8: true}) {
		t.Errorf("params %+v", d.Params)
	}
	r := d.Recipients[0]
	if fmt.Sprint(r.Notify) != "[FAILURE DELAY]" || r.OriginalType != "rfc822" || r.Original != "c+d@example.net" {
		t.Errorf("recipient %+v", r)
	}
	env := w.handler.Seen()[0].Envelope
	if env.Client.Addr.String() != "127.0.0.1" || env.Client.Helo != "client.example.org" || env.Client.TLS || env.Listener != "door" || env.ID == "" {
		t.Errorf("envelope %+v", env)
	}
}

// Two messages, RSET between, and what a disconnect in the middle leaves.
func TestSequences(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.envelope("EHLO", "one@example.net")
	p.do("RSET", "250 ")
	p.envelope("", "two@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	p.envelope("", "three@example.net", "four@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	p.envelope("", "five@example.net")
	p.do("DATA", "354 ")
	p.send(text)
	p.Close()

	last := w.dial() // answered after the one that was cut is seen to its end
	last.do("QUIT", "221 ")
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(w.sink.Recipients()); got != "[two@example.net three@example.net four@example.net]" {
		t.Errorf("delivered %s", got)
	}
	for i, s := range w.handler.Seen() {
		if n := strings.Count(s.Text, "Received:"); n != 1 {
			t.Errorf("message %d has %d Received fields", i, n)
		}
	}
}

// A truncated BDAT must not pass for a message; a whole one before a half-close
// must.
func TestTruncatedBDAT(t *testing.T) {
	w := start(t, Config{})
	for _, tc := range []struct {
		name, sent string
		declared   int
		delivered  bool
	}{
		{"truncated", text, len(text) + 10, false},
		{"whole", text, len(text), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(w.sink.All())
			p := w.dial()
			p.envelope("EHLO", "b@example.net")
			p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", tc.declared, tc.sent))
			if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			answer := p.reply()
			if ok := strings.HasPrefix(answer, "250 "); ok != tc.delivered {
				t.Errorf("answer %q", answer)
			}
			if got := len(w.sink.All()) - before; got != map[bool]int{true: 1}[tc.delivered] {
				t.Errorf("%d messages delivered", got)
			}
		})
	}
}

func TestBDATChunks(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	half := strings.Index(text, "\r\n") + 1 // between CR and LF
	p.send(fmt.Sprintf("BDAT %d\r\n%s", half, text[:half]))
	p.expect("250 ")
	p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text)-half-2, text[half:len(text)-2]))
	p.expect("250 ")
	if all := w.sink.All(); len(all) != 1 || !strings.HasSuffix(string(all[0].Message.Bytes()), text) {
		t.Errorf("delivered %v", all)
	}
}

// The library takes the quotes off; what reaches the envelope has them back.
func TestQuotedLocalPart(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.do("EHLO client.example.org", "250 ")
	p.do(`MAIL FROM:<"a b"@example.org>`, "250 ")
	p.do(`RCPT TO:<"victim@corp.example> ORCPT=rfc822;x"@example.net>`, "250 ")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	d := w.sink.All()[0]
	if got := d.Recipients[0].Address.String(); got != `"victim@corp.example> ORCPT=rfc822;x"@example.net` {
		t.Errorf("recipient %s", got)
	}
	if got := d.Sender.String(); got != `"a b"@example.org` {
		t.Errorf("sender %s", got)
	}
}

func TestAddressesRefused(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.do("EHLO client.example.org", "250 ")
	p.do("MAIL FROM:<a@exa\x01mple.org>", "553 5.1.3")
	p.do("MAIL FROM:<\xc3\xa4@example.org>", "553 5.6.7")
	p.do("MAIL FROM:<a@example.org>", "250 ")
	for _, to := range []string{"b@exa*mple.net", "b@(example).net", "b@example..net", `"b` + "\x00" + `"@example.net`} {
		p.do("RCPT TO:<"+to+">", "553 5.1.3")
	}
}

func TestReplies(t *testing.T) {
	next := fault.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such\r\nuser \xc3\xa4"}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{io.ErrUnexpectedEOF, "451 4.3.0 internal error, try again later"},
		{fmt.Errorf("wrapped: %w", fault.New(fault.Unavailable, "directory does not answer", nil)), "451 4.4.3 directory does not answer"},
		{fault.New(fault.Policy, "no certificate", nil), "550 5.7.1 no certificate"},
		{&fault.Error{Kind: fault.Refused, Reply: next}, `550 5.1.1 no such  user \u00e4`},
	} {
		w := start(t, Config{Handler: &wiretest.Handler{
			OnProcess: func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error) { return nil, tc.err },
		}})
		p := w.dial()
		p.envelope("EHLO", "b@example.net")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		r := p.expect(tc.want + " (id ")
		if id := w.handler.Seen()[0].Envelope.ID; !strings.HasSuffix(r, " (id "+id+")\r\n") {
			t.Errorf("%q does not tell the id %s", r, id)
		}
	}
}

func TestPanicIsTemporary(t *testing.T) {
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{LMTP: lmtp, Handler: &wiretest.Handler{
			OnProcess: func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error) { panic("oh") },
		}})
		p := w.dial()
		p.envelope(map[bool]string{false: "EHLO", true: "LHLO"}[lmtp], "b@example.net")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("451 4.3.0")
		p.do("NOOP", "250 ")
	}
}

// A message of exactly the limit is taken, one octet more is not.
func TestMessageSize(t *testing.T) {
	w := start(t, Config{Limits: Limits{MessageSize: len(text)}})
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	p.envelope("", "b@example.net")
	p.do("DATA", "354 ")
	p.send("X" + text + ".\r\n")
	p.expect("552 5.3.4")
	p.do(fmt.Sprintf("MAIL FROM:<a@example.org> SIZE=%d", len(text)+1), "552 5.3.4")
}

func TestLongLines(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	long := strings.Repeat("x", 100_000)
	p.send(text + long + "\r\n.\r\n")
	p.expect("250 ")
	if got := string(w.sink.All()[0].Message.Bytes()); !strings.HasSuffix(got, "\r\n"+long+"\r\n") {
		t.Error("the long line is gone")
	}
	p.send(strings.Repeat("x", 20_000) + "\r\n")
	p.expect("500 5.5.2")
	p.goneSoon()
}

func TestLoop(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	for _, tc := range []struct {
		hops int
		want string
	}{{49, "250 "}, {50, "554 5.4.6"}} {
		p.envelope("EHLO", "b@example.net")
		p.do("DATA", "354 ")
		p.send(strings.Repeat("Received: x\r\n", tc.hops) + text + ".\r\n")
		p.expect(tc.want)
	}
}
