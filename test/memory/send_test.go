package memory

import (
	"bytes"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/emersion/go-milter"
)

// send hands a message to a gateway as a client of one protocol does, and returns the
// code of the answer.
type send func(tb testing.TB, addr, from, to string, text []byte) int

// source is where a sender connects from: alice from inside, all others from outside.
func source(from string) string {
	if from == alice {
		return "127.0.0.1"
	}
	return "127.0.0.2"
}

// bySMTP sends as a client of SMTP or, with the greeting LHLO, of LMTP.
func bySMTP(greeting string) send {
	return func(tb testing.TB, addr, from, to string, text []byte) int {
		tb.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source(from))}}
		nc, err := dialer.Dial("tcp", addr)
		if err != nil {
			tb.Fatal(err)
		}
		defer nc.Close()
		c := textproto.NewConn(nc)
		expect := func(code int) {
			tb.Helper()
			if _, _, err := c.ReadResponse(code); err != nil {
				tb.Fatal(err)
			}
		}
		expect(220)
		for _, command := range []string{greeting + " client.test", "MAIL FROM:<" + from + ">", "RCPT TO:<" + to + ">"} {
			if err := c.PrintfLine("%s", command); err != nil {
				tb.Fatal(err)
			}
			expect(250)
		}
		if err := c.PrintfLine("DATA"); err != nil {
			tb.Fatal(err)
		}
		expect(354)
		w := c.DotWriter()
		if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
			tb.Fatal(err)
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
		code, said, err := c.ReadResponse(0)
		if err != nil && code == 0 {
			tb.Fatal(err)
		}
		if code != 250 {
			tb.Logf("answer %d %s", code, said)
		}
		return code
	}
}

// byMilter sends as an MTA asks a milter.
func byMilter(tb testing.TB, addr, from, to string, text []byte) int {
	tb.Helper()
	c := milter.NewClientWithOptions("tcp", addr, milter.ClientOptions{
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt,
	})
	defer c.Close()
	s, err := c.Session()
	if err != nil {
		tb.Fatal(err)
	}
	defer s.Close()
	header, _, _ := strings.Cut(string(text[:min(len(text), 10_000)]), "\r\n\r\n")
	check := func(a *milter.Action, err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	check(s.Conn("client.test", milter.FamilyInet, 25, source(from)))
	check(s.Helo("client.test"))
	check(s.Mail(from, nil))
	check(s.Rcpt(to, nil))
	for _, line := range strings.Split(strings.ReplaceAll(header, "\r\n ", "\n "), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		check(s.HeaderField(name, strings.TrimPrefix(value, " ")))
	}
	check(s.HeaderEnd())
	_, a, err := s.BodyReadFrom(bytes.NewReader(text[len(header)+4:]))
	check(a, err)
	switch a.Code {
	case milter.ActAccept, milter.ActContinue, milter.ActDiscard:
		return 250
	case milter.ActReplyCode:
		tb.Logf("answer %d %s", a.SMTPCode, a.SMTPText)
		return a.SMTPCode
	}
	tb.Fatalf("answer %c", a.Code)
	return 0
}
