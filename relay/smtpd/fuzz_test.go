package smtpd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// Whatever a client sends, the connection comes to an end with it, nothing
// panics, and what is accepted was answered for, has whole lines, and a
// recipient.
func FuzzSession(f *testing.F) {
	const message = "Subject: x\r\n\r\n.\r\nbody\r\n.\r\n"
	f.Add(false, []byte("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"+message+"MAIL FROM:<>\r\nRCPT TO:<\"x y\"@e.f> NOTIFY=NEVER\r\nBDAT 3 LAST\r\nabcQUIT\r\n"))
	f.Add(true, []byte("LHLO x\r\nMAIL FROM:<a@b.c> RET=HDRS\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"+message))
	f.Add(false, []byte("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 5\r\n\r\n\r\nxBDAT 0\r\nRSET\r\nMAIL FROM:<a@b.c>\r\nBDAT 99999 LAST\r\nx"))
	f.Add(false, []byte("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nMAIL FROM:<a@b.c>\r\nDATA\r\nx\n.\r\n.\r\r\n.\r\nSTARTTLS\r\n\x16\x03\x01"))
	server, _, _ := wiretest.Certificate(f)
	f.Fuzz(func(t *testing.T, lmtp bool, data []byte) {
		var complaints bytes.Buffer
		h, sink := &wiretest.Handler{}, &wiretest.Sink{}
		s := NewServer(Config{
			LMTP: lmtp, Hostname: "gw.example.com", Handler: h, Queue: sink, Deliverer: sink, TLS: server,
			Limits: Limits{MessageSize: 100_000, Recipients: 10}, Log: slog.New(slog.NewTextHandler(&complaints, nil)),
		})
		ours, theirs := net.Pipe()
		c := s.newClient(ours)
		done, read := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			defer ours.Close()
			c.Run()
		}()
		var replies bytes.Buffer
		go func() {
			defer close(read)
			_, _ = io.Copy(&replies, theirs)
		}()
		_, _ = theirs.Write(data) // it may be cut
		theirs.Close()
		<-done // a hang ends the test, with the stacks of all goroutines
		<-read
		// The library's own panic at a session that is gone is part of its end.
		if text := complaints.String(); strings.Contains(text, "msg=panic ") {
			t.Fatal(text)
		}
		for _, d := range sink.All() {
			if bareLineEnd(d.Message.Bytes()) || len(d.Recipients) == 0 {
				t.Fatalf("accepted %q for %v", d.Message.Bytes(), d.Recipients)
			}
		}
	})
}

// Whatever a proxy sends, and a client that logs in behind it: the connection comes to an
// end, nothing panics, and no message is of a user whose password was not given.
func FuzzNamedClient(f *testing.F) {
	const message = "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 3 LAST\r\nabc"
	f.Add([]byte("PROXY TCP4 192.0.2.77 127.0.0.1 4660 25\r\nEHLO x\r\nXCLIENT ADDR=192.0.2.9 HELO=y\r\nEHLO z\r\n" + message))
	f.Add([]byte(v2 + "EHLO x\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n" + message))
	f.Add([]byte("PROXY UNKNOWN\r\nEHLO x\r\nAUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n" + message))
	f.Add([]byte("PROXY TCP6 2001:db8::1 ::1 1 2\r\nEHLO x\r\nAUTH PLAIN\r\n*\r\nAUTH EXTERNAL =\r\nXFORWARD LOGIN=a\r\n" + message))
	f.Fuzz(func(t *testing.T, data []byte) {
		var complaints bytes.Buffer
		h, sink := &wiretest.Handler{}, &wiretest.Sink{}
		s := NewServer(Config{
			Hostname: "gw.example.com", Handler: h, Queue: sink, Passwords: passwords{}, AuthInClear: true,
			Proxies: network("198.51.100.0/24"), XClient: network("192.0.2.0/24"),
			Limits: Limits{MessageSize: 100_000, Recipients: 10}, Log: slog.New(slog.NewTextHandler(&complaints, nil)),
		})
		s.pause = func(context.Context, time.Duration) {}
		ours, theirs := net.Pipe()
		_ = s.Serve(&single{conn: farConn{ours, "198.51.100.1"}}) // it has one connection
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(io.Discard, theirs)
		}()
		_, _ = theirs.Write(data) // it may be cut
		theirs.Close()
		<-read
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text := complaints.String(); strings.Contains(text, "msg=panic ") {
			t.Fatal(text)
		}
		upper := bytes.ToUpper(data)
		for _, seen := range h.Seen() {
			c := seen.Envelope.Client
			if c.User != "" && !bytes.Contains(upper, []byte("AUTH")) && !bytes.Contains(upper, []byte("LOGIN=")) || c.Addr.String() == "198.51.100.1" {
				t.Fatalf("client %+v", c)
			}
		}
	})
}

// The scanner agrees with the plain way to say it, wherever the stream is cut.
func TestScannerIsPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("\r\r\n\n.x")), 0, 12, -1).Draw(t, "text")
		var s scanner
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			s.write([]byte(rest[:n]))
			rest = rest[n:]
		}
		plain := strings.ReplaceAll(text, "\r\n", "")
		if want := strings.ContainsAny(strings.TrimSuffix(plain, "\r"), "\r\n") || strings.Contains(plain, "\r") && !strings.HasSuffix(text, "\r"); s.bare != want {
			t.Fatalf("%q: bare %v", text, s.bare)
		}
		if got := bareLineEnd([]byte(text)); got != strings.ContainsAny(plain, "\r\n") {
			t.Fatalf("%q: bare line ends %v", text, got)
		}
	})
}

// Of a message of DATA there is what RFC 5321 says, and nothing beyond its end is read,
// wherever the stream is cut.
func TestContentIsPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := rapid.StringOfN(rapid.RuneFrom([]rune("\r\r\n\n..x")), 0, 16, -1).Draw(t, "stream") + "\r\n.\r\nRSET"
		c, read, ended := atLine, 0, false
		var got strings.Builder
		for !ended {
			piece := stream[read:][:rapid.IntRange(1, len(stream)-read).Draw(t, "cut")]
			n, end, err := c.copy(&got, []byte(piece))
			if err != nil || n == 0 || n < len(piece) && !end {
				t.Fatalf("%q: %d octets of %q read, %v", stream, n, piece, err)
			}
			read, ended = read+n, end
		}
		if want := strings.Index("\r\n"+stream, "\r\n.\r\n") + 3; read != want {
			t.Fatalf("%q: %d octets read, want %d", stream, read, want)
		}
		if want, ok := strict(stream); ok && got.String() != want {
			t.Fatalf("%q: %q, want %q", stream, got.String(), want)
		}
	})
}
