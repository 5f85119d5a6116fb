package milter

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// TestMessageOutlivesItsBuffer: what a handler was given is not in the memory that the
// next message of the connection is read into.
func TestMessageOutlivesItsBuffer(t *testing.T) {
	var seen [][]byte
	h := &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		seen = append(seen, m.Bytes())
		return wiretest.Pass(env, m), nil
	}}
	w := start(t, Config{Handler: h})
	m := w.dial()
	texts := []string{}
	for _, letter := range "abc" {
		text := "From: a@example.org\r\nSubject: " + strings.Repeat(string(letter), 50) + "\r\n\r\n" +
			strings.Repeat(strings.Repeat(string(letter), 70)+"\r\n", 1200)
		texts = append(texts, text)
		m.mail("a@example.org")
		m.rcpt("b@example.net")
		if got := m.message(text); got != "a" {
			t.Fatalf("answer %q", got)
		}
	}
	for i := range texts {
		if got := string(seen[i]); got != texts[i] {
			t.Errorf("message %d changed after it was handed on: %.80q", i, got)
		}
	}
}

// TestPacketLargerThanTheBuffer: the protocol lets the last chunk come with the end,
// and an MTA may take larger chunks than others.
func TestPacketLargerThanTheBuffer(t *testing.T) {
	h := &wiretest.Handler{}
	w := start(t, Config{Handler: h})
	m := w.dial()
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	m.send('L', "From\x00 a@example.org\x00")
	m.send('N', "")
	body := strings.Repeat(strings.Repeat("x", 78)+"\r\n", 5*bufferSize/80)
	m.send('E', body)
	if code, data := m.receive(); code != 'a' {
		t.Fatalf("answer %c %q", code, data)
	}
	if got := h.Seen()[0].Text; !strings.HasSuffix(got, "\r\n\r\n"+body) {
		t.Errorf("%d octets of body, sent %d", len(got), len(body))
	}
}

// TestMalformedPacketEndsTheConnection: without its place in the header, or with half
// an envelope, a message would not be the one that the MTA has.
func TestMalformedPacketEndsTheConnection(t *testing.T) {
	for name, packet := range map[string]string{
		"field without value": rawPacket('L', "Subject"),
		"field without name":  rawPacket('L', "\x00value\x00"),
		"three strings":       rawPacket('L', "Subject\x00a\x00b\x00"),
		"macros of no stage":  rawPacket('D', ""),
		"client cut":          rawPacket('C', "host\x004\x00"),
		"no such code":        rawPacket('?', "x"),
		"empty":               "\x00\x00\x00\x00",
		"too large":           "\x00\x10\x00\x01L",
		"second offer":        rawPacket('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"),
	} {
		t.Run(name, func(t *testing.T) {
			h, lines := &wiretest.Handler{}, &wiretest.Log{}
			w := start(t, Config{Handler: h, Log: slog.New(slog.NewTextHandler(lines, nil))})
			m := w.dial()
			m.mail("a@example.org")
			m.rcpt("b@example.net")
			if _, err := m.Write([]byte(packet)); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(m.r); err != nil || len(rest) > 0 {
				t.Errorf("answered %q, %v", rest, err)
			}
			if err := w.server.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			if len(h.Seen()) > 0 || !strings.Contains(lines.String(), "milter connection ended") {
				t.Errorf("%d messages; log %s", len(h.Seen()), lines)
			}
		})
	}
}

// TestUnknownCommandOfTheClient: what the MTA did not know is not for a filter of
// messages to know.
func TestUnknownCommandOfTheClient(t *testing.T) {
	m := start(t, Config{}).dial()
	m.send('U', "NOOOP\x00")
	if code, data := m.receive(); code != 'c' {
		t.Errorf("answer %c %q", code, data)
	}
	m.mail("a@example.org")
	m.rcpt("b@example.net")
	if got := m.message(text); got != "a" {
		t.Errorf("answer %q", got)
	}
}

// TestGarbage bounds what a message costs the collector of garbage: it is counted, for
// nothing shows in any other test when it doubles.
func TestGarbage(t *testing.T) {
	body := strings.Repeat(strings.Repeat("x", 73)+"\r\n", 1000)
	text := "From: a@example.org\r\n" + strings.Repeat("X-Field: some value\r\n", 20) + "\r\n" + body
	parsed, err := message.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	h := &quietHandler{process: func(_ context.Context, env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
		return wiretest.Pass(env, parsed), nil
	}}
	s := NewServer(Config{Handler: h, Queue: &wiretest.Sink{}, Log: slog.New(slog.DiscardHandler)})
	c := s.newConn(sent{io.Discard, nil})
	c.w = bufio.NewWriter(c.Conn)
	c.session = &session{conn: c, config: &s.config, quiet: protocol, exact: true}
	packets := packetsOf(text)
	c.session.macros.queueID = "4XYZ"
	got := testing.AllocsPerRun(50, func() {
		for _, p := range packets {
			if err := c.session.handle(p); err != nil {
				t.Fatal(err)
			}
		}
	})
	const most = 70
	if got > most {
		t.Errorf("a message costs %.0f allocations, at most %d are expected", got, most)
	}
}

// TestAnswerIsSentBeforeTheMessageIsForgotten: Shutdown closes a connection without a
// message, and an MTA that does not hear that its message was queued sends it again.
func TestAnswerIsSentBeforeTheMessageIsForgotten(t *testing.T) {
	var out bytes.Buffer
	s := NewServer(Config{Handler: &wiretest.Handler{}, Queue: &wiretest.Sink{}, Log: slog.New(slog.DiscardHandler)})
	c := s.newConn(sent{&out, nil})
	c.w = bufio.NewWriter(c.Conn)
	c.session = &session{conn: c, config: &s.config, quiet: protocol, exact: true}
	for _, p := range packetsOf("From: a@example.org\r\n\r\nbody\r\n") {
		if err := c.session.handle(p); err != nil {
			t.Fatal(err)
		}
	}
	if c.busy || !bytes.HasSuffix(out.Bytes(), []byte("\x00\x00\x00\x01a")) {
		t.Errorf("busy %v, sent %q", c.busy, out.Bytes())
	}
}

// sent is a connection to a Writer.
type sent struct {
	io.Writer
	net.Conn
}

func (s sent) Write(p []byte) (int, error)      { return s.Writer.Write(p) }
func (s sent) SetWriteDeadline(time.Time) error { return nil }

// packetsOf is what an MTA sends of a message.
func packetsOf(text string) []packet {
	header, body, _ := strings.Cut(text, "\r\n\r\n")
	list := []packet{{'M', []byte("<a@example.org>\x00")}, {'R', []byte("<b@example.net>\x00")}}
	for field := range strings.SplitSeq(header, "\r\n") {
		list = append(list, packet{'L', []byte(strings.Replace(field, ":", "\x00", 1) + "\x00")})
	}
	list = append(list, packet{code: 'N'})
	for len(body) > 0 {
		n := min(len(body), maxChunk)
		list = append(list, packet{'B', []byte(body[:n])})
		body = body[n:]
	}
	return append(list, packet{code: 'E'})
}
