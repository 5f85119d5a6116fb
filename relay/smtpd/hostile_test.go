package smtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// What one server takes for the end of a message must not be text for another:
// none of these may be accepted, and nothing after them on the connection.
func TestSmuggling(t *testing.T) {
	const second = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: forged\r\n\r\nx\r\n.\r\n"
	for _, end := range []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n\n.\r\n", "\r\n.\r\r\n", "\r\r\n.\r\n", "\r\n\x00.\r\n\n", "\n",
	} {
		t.Run(fmt.Sprintf("%q", end), func(t *testing.T) {
			w := start(t, Config{})
			p := w.dial()
			p.envelope("EHLO", "b@example.net")
			p.do("DATA", "354 ")
			p.send(text + "x" + end + second + "\r\n.\r\n")
			p.expect("554 5.5.2")
			p.expect("421 ")
			p.goneSoon()
			if all := w.sink.All(); len(all) > 0 {
				t.Errorf("delivered %q to %v", all[0].Message.Bytes(), w.sink.Recipients())
			}
		})
	}
	t.Run("BDAT", func(t *testing.T) {
		w := start(t, Config{})
		p := w.dial()
		p.envelope("EHLO", "b@example.net")
		bad := text + "x\n.\n"
		p.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(bad), bad))
		p.expect("554 5.5.2")
	})
}

// What follows on a connection that we have given up is not accepted, though the
// library has read it already: the peer will send it again.
func TestNothingAfterTheEnd(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send("Subject: x\r\n\r\nbare\n\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n" + text + ".\r\n")
	p.expect("554 5.5.2")
	p.expect("421 ")
	p.goneSoon()
	if err := w.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := w.sink.All(); len(all) > 0 {
		t.Errorf("delivered %v", all)
	}
}

// goneSoon reads to the end; the server may have cut what we sent.
func (p *peer) goneSoon() {
	p.t.Helper()
	rest, err := io.ReadAll(p.r)
	if len(rest) > 0 {
		p.t.Fatalf("%q (%v) instead of the end", rest, err)
	}
}

func TestScanner(t *testing.T) {
	for _, tc := range []struct {
		parts []string
		bare  bool
	}{
		{[]string{"a\r\nb\r\n"}, false},
		{[]string{"a\r", "\nb\r\n"}, false},
		{[]string{"a\r", "", "\n"}, false},
		{[]string{"a\r", "b"}, true},
		{[]string{"a", "\n"}, true},
		{[]string{"a\r\r\n"}, true},
		{[]string{"a\r", "\r\n"}, true},
		{[]string{"\r", "\n", "\n"}, true},
		{[]string{"a\r\n\r"}, false}, // so far
	} {
		var s scanner
		for _, p := range tc.parts {
			s.write([]byte(p))
		}
		if s.bare != tc.bare {
			t.Errorf("%q: bare %v", tc.parts, s.bare)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Run("connections", func(t *testing.T) {
		w := start(t, Config{Limits: Limits{Connections: 2}})
		first, _ := w.dial(), w.dial()
		c := wiretest.Dial(t, w.addr)
		answer, err := io.ReadAll(c)
		if !strings.HasPrefix(string(answer), "421 4.3.2") || err != nil {
			t.Errorf("answer %q (%v)", answer, err)
		}
		first.do("QUIT", "221 ")
		first.gone()
		wiretest.Until(t, "a free place", func() bool {
			c := wiretest.Dial(t, w.addr)
			defer c.Close()
			b := make([]byte, 4)
			_, err := io.ReadFull(c, b)
			return err == nil && string(b) == "220 "
		})
	})
	t.Run("per address", func(t *testing.T) {
		w := startFor(t, Config{Limits: Limits{PerAddress: 1}}, "192.0.2.7")
		w.dial()
		answer, err := io.ReadAll(wiretest.Dial(t, w.addr))
		if !strings.HasPrefix(string(answer), "421 4.3.2") || err != nil {
			t.Errorf("answer %q (%v)", answer, err)
		}
	})
	t.Run("per address, IPv6", func(t *testing.T) {
		w := startFor(t, Config{Proxies: network("192.0.2.7/32"), Limits: Limits{PerAddress: 1}}, "192.0.2.7")
		for _, tc := range [][2]string{{"2001:db8::1", "220 "}, {"2001:db8::2:0:0:1", "421 "}, {"2001:db8:0:1::1", "220 "}} {
			c := wiretest.Dial(t, w.addr)
			p := &peer{t: t, Conn: c, r: bufio.NewReader(c)}
			p.send("PROXY TCP6 " + tc[0] + " ::1 4660 25\r\n")
			p.expect(tc[1])
		}
	})
	t.Run("per address, of an MTA", func(t *testing.T) {
		for peer, c := range map[string]Config{
			"127.0.0.1": {},
			"192.0.2.7": {Forwarders: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		} {
			c.Limits.PerAddress = 1
			w := startFor(t, c, peer)
			w.dial().do("NOOP", "250 ")
			w.dial().do("NOOP", "250 ")
		}
	})
	t.Run("recipients", func(t *testing.T) {
		w := start(t, Config{Limits: Limits{Recipients: 2}})
		p := w.dial()
		p.envelope("EHLO", "b@example.net", "c@example.net")
		p.do("RCPT TO:<d@example.net>", "452 4.5.3")
	})
	t.Run("errors", func(t *testing.T) {
		w := start(t, Config{Limits: Limits{Errors: 3}})
		p := w.dial()
		for range 3 {
			p.do("MAIL FROM:<a@example.org>", "503 ")
		}
		p.do("MAIL FROM:<a@example.org>", "503 ")
		p.expect("421 4.7.0 too many errors")
		p.gone()
	})
	t.Run("errors, no commands", func(t *testing.T) {
		w := start(t, Config{Limits: Limits{Errors: len(noCommands)}})
		p := w.dial()
		for _, line := range noCommands {
			p.do(line, "500 5.5.2 command not recognized\r\n")
		}
		p.do("NOOP", "250 ")
		p.do("FOO", "500 ")
		p.expect("421 4.7.0 too many errors")
		p.gone()
	})
	t.Run("errors, no commands, LMTP", func(t *testing.T) {
		w := start(t, Config{LMTP: true})
		p := w.dial()
		for _, line := range noCommands {
			p.do(line, "500 ")
		}
		p.envelope("LHLO", "b@example.net")
	})
	t.Run("memory", func(t *testing.T) {
		budget := relay.NewMemory(1_500_000)
		others := budget.Share()
		others.Reserve(700_000)
		w := start(t, Config{Memory: budget})
		big := text + strings.Repeat("x\r\n", 100_000)
		p := w.dial()
		p.envelope("EHLO", "b@example.net")
		p.do("DATA", "354 ")
		p.send(big + ".\r\n")
		p.expect("452 4.3.1")
		for range 5 { // and all of it is given back
			p.envelope("", "b@example.net")
			p.do("DATA", "354 ")
			p.send(big[:100_000] + "\r\n.\r\n")
			p.expect("250 ")
		}
	})
}

// noCommands are lines that are no command, each in its own way. The library counts them
// for itself and closes the connection at the fourth.
var noCommands = []string{"FOO", "", " ", "MA", "QUIT!", "NOOP\x00", "STARTTLSX", "TURN", "MAILFROM:<a@example.org>", "\xff\xfe", "(hidden)"}

func TestTimeouts(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		w := start(t, Config{Limits: Limits{Read: 50 * time.Millisecond}})
		p := w.dial()
		p.expect("421 4.4.2")
		p.gone()
	})
	t.Run("slow message", func(t *testing.T) {
		w := start(t, Config{Limits: Limits{Message: 100 * time.Millisecond}})
		p := w.dial()
		p.envelope("EHLO", "b@example.net")
		p.do("DATA", "354 ")
		stop := make(chan struct{})
		drop := time.NewTicker(10 * time.Millisecond)
		defer drop.Stop()
		go func() { // a drop now and then keeps the read deadline at bay
			defer close(stop)
			for {
				if _, err := p.Conn.Write([]byte("x\r\n")); err != nil {
					return
				}
				<-drop.C
			}
		}()
		p.expect("451 ")
		p.Close()
		<-stop
		if all := w.sink.All(); len(all) > 0 {
			t.Errorf("delivered %v", all)
		}
	})
}

// What is refused for its size has no more time to arrive than any other message.
func TestSlowRefusedMessage(t *testing.T) {
	for name, tc := range map[string]struct{ command, reply string }{
		"DATA": {"DATA", "354 "},
		"BDAT": {"BDAT 1000000 LAST", "552 "},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, Config{Limits: Limits{MessageSize: 1000, Message: 100 * time.Millisecond}})
			p := w.dial()
			p.envelope("EHLO", "b@example.net")
			p.do(tc.command, tc.reply)
			p.send(text + strings.Repeat("x\r\n", 1000))
			drop := time.NewTicker(10 * time.Millisecond)
			defer drop.Stop()
			for range 300 { // more than the limit allows
				if _, err := p.Conn.Write([]byte("x\r\n")); err != nil {
					return
				}
				<-drop.C
			}
			t.Error("the connection is still open")
		})
	}
}

// After a message that was too large, the next one may come.
func TestAfterTooLarge(t *testing.T) {
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{LMTP: lmtp, Limits: Limits{MessageSize: 1000}})
		p := w.dial()
		p.envelope(map[bool]string{false: "EHLO", true: "LHLO"}[lmtp], "b@example.net")
		for range 2 {
			p.do("DATA", "354 ")
			p.send(text + strings.Repeat("x\r\n", 1000) + ".\r\n")
			p.expect("552 ")
			p.envelope("", "b@example.net")
		}
		p.deliver()
	}
}

func TestShutdown(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	h := &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		close(started)
		<-release
		return wiretest.Pass(env, m), nil
	}}
	w := start(t, Config{Handler: h})
	idle, busy := w.dial(), w.dial()
	busy.envelope("EHLO", "b@example.net")
	busy.do("DATA", "354 ")
	busy.send(text + ".\r\n")
	<-started
	done := make(chan error, 1)
	go func() { done <- w.server.Shutdown(context.Background()) }()
	idle.expect("421 4.3.2")
	idle.gone()
	select {
	case err := <-done:
		t.Fatalf("shut down with a message under way: %v", err)
	default:
	}
	close(release)
	busy.expect("250 ")
	busy.expect("421 4.3.2")
	busy.gone()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(w.sink.All()) != 1 {
		t.Error("the message is lost")
	}
}

// When time is up, work ends with its context, and nothing is accepted.
func TestShutdownCuts(t *testing.T) {
	started := make(chan struct{})
	h := &wiretest.Handler{OnProcess: func(ctx context.Context, _ *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
		close(started)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	w := start(t, Config{Handler: h})
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// The handler may take from the budget of the messages in work, and what it took is
// given back with the answer.
func TestHandlersTakeMemory(t *testing.T) {
	budget := relay.NewMemory(3 << 19)
	for _, lmtp := range []bool{false, true} {
		var taken, refused bool
		h := &wiretest.Handler{OnProcess: func(ctx context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
			reserve := relay.MemoryOf(ctx).Reserve
			taken, refused = reserve(900<<10), !reserve(900<<10)
			return wiretest.Pass(env, m), nil
		}}
		w := start(t, Config{LMTP: lmtp, Memory: budget, Handler: h})
		p := w.dial()
		p.envelope(map[bool]string{false: "EHLO", true: "LHLO"}[lmtp], "b@example.net")
		p.deliver()
		if !taken || !refused {
			t.Errorf("taken %t, refused %t", taken, refused)
		}
		wiretest.Until(t, "the budget back", func() bool {
			all := budget.Share()
			defer all.Release()
			return all.Reserve(3 << 19)
		})
	}
}

// TestWebRequest: what a browser of a trusted client can be made to send is no mail, also
// where its body is a whole SMTP session.
func TestWebRequest(t *testing.T) {
	for _, request := range []string{"POST / HTTP/1.1\r\nHost: gw\r\n\r\n", "GET /x HTTP/1.0\r\n", "PRI * HTTP/2.0\r\n", "post / http/1.1\r\n"} {
		w := start(t, Config{})
		p := w.dial()
		p.send(request + "EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n" + text + ".\r\n")
		p.expect("501 5.5.2 this is not a web server")
		if n := len(w.sink.All()); n != 0 {
			t.Errorf("%q: %d messages", request, n)
		}
	}
}

// TestExcessRecipients: to name more recipients than one message may have is no error of the
// client, which finds the limit by it.
func TestExcessRecipients(t *testing.T) {
	p := start(t, Config{Limits: Limits{Recipients: 2, Errors: 1}}).dial()
	p.envelope("EHLO", "b@example.net", "c@example.net")
	for range 3 {
		p.do("RCPT TO:<d@example.net>", "452 4.5.3")
	}
	p.do("RCPT TO:<d@example.net>", "452 4.5.3")
	p.expect("421 4.7.0 too many errors")
}

// TestGivenUp: a message whose client goes away in it is no fault of this side, which an
// operator would have to look after.
func TestGivenUp(t *testing.T) {
	m := &refusals{}
	w := start(t, Config{Meter: m})
	for _, sent := range []string{"DATA\r\nSubject: x\r\n\r\n", "BDAT 100 LAST\r\nSubject: x\r\n\r\n", "BDAT 100\r\n" + text} {
		p := w.dial()
		p.envelope("EHLO", "b@example.net")
		p.send(sent)
		if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(p.r); err != nil {
			t.Fatal(err)
		}
	}
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	if m.n != 0 || m.answered != 1 {
		t.Errorf("%d refusals, %d messages", m.n, m.answered)
	}
}
