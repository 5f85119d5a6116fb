package memory

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"

	"github.com/emersion/go-milter"
)

// send hands a message to a gateway as a client of one protocol does, and returns the
// code of the answer.
type send func(addr, from, to string, text []byte) (code int, err error)

// ways are the protocols.
var ways = []struct {
	name string
	send send
	addr func(*gateway) string
}{
	{"milter", byMilter, func(g *gateway) string { return g.milter }},
	{"lmtp", bySMTP("LHLO"), func(g *gateway) string { return g.lmtp }},
	{"smtp", bySMTP("EHLO"), func(g *gateway) string { return g.smtp }},
}

// source is where a sender connects from: alice from inside, all others from outside.
func source(from string) string {
	if from == alice {
		return "127.0.0.1"
	}
	return "127.0.0.2"
}

// bySMTP sends as a client of SMTP or, with the greeting LHLO, of LMTP.
func bySMTP(greeting string) send {
	return func(addr, from, to string, text []byte) (int, error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source(from))}}
		nc, err := dialer.Dial("tcp", addr)
		if err != nil {
			return 0, err
		}
		defer nc.Close()
		c := textproto.NewConn(nc)
		if _, _, err := c.ReadResponse(220); err != nil {
			return 0, err
		}
		for _, command := range []string{greeting + " client.test", "MAIL FROM:<" + from + ">", "RCPT TO:<" + to + ">", "DATA"} {
			if err := c.PrintfLine("%s", command); err != nil {
				return 0, err
			}
			code, said, err := c.ReadResponse(0)
			if code != 250 && code != 354 {
				return 0, fmt.Errorf("%s: %d %s (%w)", command, code, said, err)
			}
		}
		w := c.DotWriter()
		if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
			return 0, err
		}
		if err := w.Close(); err != nil {
			return 0, err
		}
		code, said, err := c.ReadResponse(0)
		if code == 0 {
			return 0, fmt.Errorf("%s (%w)", said, err)
		}
		return code, nil
	}
}

// byMilter sends as an MTA asks a milter.
func byMilter(addr, from, to string, text []byte) (int, error) {
	c := milter.NewClientWithOptions("tcp", addr, milter.ClientOptions{
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt,
	})
	defer c.Close()
	s, err := c.Session()
	if err != nil {
		return 0, err
	}
	defer s.Close()
	header, _, _ := strings.Cut(string(text[:min(len(text), 10_000)]), "\r\n\r\n")
	steps := []func() (*milter.Action, error){
		func() (*milter.Action, error) {
			return s.Conn("client.test", milter.FamilyInet, 25, source(from))
		},
		func() (*milter.Action, error) { return s.Helo("client.test") },
		func() (*milter.Action, error) { return s.Mail(from, nil) },
		func() (*milter.Action, error) { return s.Rcpt(to, nil) },
	}
	for _, line := range strings.Split(strings.ReplaceAll(header, "\r\n ", "\n "), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		steps = append(steps, func() (*milter.Action, error) { return s.HeaderField(name, strings.TrimPrefix(value, " ")) })
	}
	for _, step := range append(steps, s.HeaderEnd) {
		if _, err := step(); err != nil {
			return 0, err
		}
	}
	_, a, err := s.BodyReadFrom(bytes.NewReader(text[len(header)+4:]))
	switch {
	case err != nil:
		return 0, err
	case a.Code == milter.ActReplyCode:
		return a.SMTPCode, nil
	case a.Code == milter.ActAccept, a.Code == milter.ActContinue, a.Code == milter.ActDiscard:
		return 250, nil
	}
	return 0, fmt.Errorf("answer %c", a.Code)
}
