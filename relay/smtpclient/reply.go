package smtpclient

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/fault"
)

const (
	maxLine  = 4096 // RFC 5321 section 4.5.3.1.5 says 512
	maxLines = 100  // of one reply
)

// readReply reads a reply of one or more lines (RFC 5321 section 4.2.1). The
// lines are returned too, as EHLO needs them.
func readReply(r *bufio.Reader) ([]string, fault.Reply, error) {
	var lines []string
	code := 0
	for {
		raw, err := r.ReadSlice('\n')
		if err != nil {
			return nil, fault.Reply{}, fmt.Errorf("reading a reply: %w", err)
		}
		line := strings.TrimRight(string(raw), "\r\n")
		c, err := replyCode(line)
		switch {
		case err != nil:
			return nil, fault.Reply{}, err
		case code != 0 && c != code, len(lines) >= maxLines:
			return nil, fault.Reply{}, fmt.Errorf("reply %q does not continue %d", line, code)
		}
		code = c
		if len(line) <= 4 {
			lines = append(lines, "")
		} else {
			lines = append(lines, line[4:])
		}
		if len(line) == 3 || line[3] == ' ' {
			return lines, newReply(code, lines), nil
		}
	}
}

func replyCode(line string) (int, error) {
	if len(line) >= 3 && (len(line) == 3 || line[3] == ' ' || line[3] == '-') {
		if c, err := strconv.ParseUint(line[:3], 10, 0); err == nil && c >= 200 && c < 600 {
			return int(c), nil
		}
	}
	return 0, fmt.Errorf("reply %.100q is not an SMTP reply", line)
}

// newReply joins the lines, and takes the enhanced code off each (RFC 2034
// section 4).
func newReply(code int, lines []string) fault.Reply {
	r := fault.Reply{Code: code, Enhanced: [3]int{code / 100, 0, 0}, Plain: true}
	var texts []string
	for _, line := range lines {
		first, rest, _ := strings.Cut(line, " ")
		if e, ok := enhanced(first); ok && e[0] == code/100 {
			r.Enhanced, r.Plain, line = e, false, rest
		}
		texts = append(texts, strings.TrimSpace(line))
	}
	r.Text = strings.TrimSpace(strings.Join(texts, " "))
	return r
}

// enhanced reads a status code of RFC 3463 section 2.
func enhanced(s string) (e [3]int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return e, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 0)
		if err != nil || n > 999 {
			return e, false
		}
		e[i] = int(n)
	}
	return e, true
}

// asError returns the error for a negative reply: the hop's own words, and
// whether it is worth while to try again.
func asError(r fault.Reply) *fault.Error {
	text := "next hop answered " + r.String()
	switch r.Code / 100 {
	case 4:
		return &fault.Error{Kind: fault.NextHop, Public: text, Reply: r}
	case 5:
		return &fault.Error{Kind: fault.Refused, Public: text, Reply: r}
	}
	return fault.New(fault.NextHop, "next hop violated the protocol", errors.New(text))
}

// said is asError with the name of the hop: its words about a message are its own.
func (h *hop) said(r fault.Reply) *fault.Error {
	e := asError(r)
	e.Host = h.host.label(h.greeted)
	return e
}

// lost is lost of an error that names the host: one of several may be at fault.
func (h Host) lost(err error) error { return lost(fmt.Errorf("%s: %w", h.shown(), err)) }

// lost returns the error for a connection that could not be made or kept. A
// reply on the way to a transaction, even a permanent one, says something of
// the hop and nothing of the message.
func lost(err error) error {
	switch {
	case errors.Is(err, errTooLong): // before what it was that took too long
		return fault.New(fault.NextHop, "next hop too slow: the attempt took too long", err)
	case errors.Is(err, ErrNoTLS):
		return fault.Narrow(fault.NextHop, fault.NoTLS, "next hop does not offer TLS, which is required", err)
	case errors.Is(err, errHandshake):
		return fault.Narrow(fault.NextHop, fault.BrokenTLS, "next hop could not be secured by TLS, which is required", err)
	}
	return fault.New(fault.NextHop, "next hop not available", err)
}
