package rig

import (
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"testing"
	"time"
)

// The client addresses that the tests speak from: one of the networks that a
// listener trusts, and one that is outside of them.
const (
	Insider  = "127.0.0.1"
	Stranger = "127.0.0.2"
)

// Client is an SMTP client that keeps every reply.
type Client struct {
	*smtp.Client
	tb testing.TB
}

// Reply is what a server said to a command.
type Reply struct {
	Code int
	Text string
}

// String prints r as on the wire.
func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// Positive reports a reply of 2yz or 3yz.
func (r Reply) Positive() bool { return r.Code < 400 }

// Dial connects to a server from the loopback address from.
func Dial(tb testing.TB, addr, from string) *Client {
	tb.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: Patience}
	conn, err := dialer.DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(2 * Patience)); err != nil {
		tb.Fatal(err)
	}
	c, err := smtp.NewClient(conn, "localhost")
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Hello("client.test"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return &Client{c, tb}
}

// Transaction is the course of one message through SMTP.
type Transaction struct {
	Mail Reply
	Rcpt map[string]Reply
	// Data is the final reply; its code is 0 when no recipient was accepted.
	Data Reply
}

// Send carries out one transaction. Only a lost connection fails the test:
// refusals are the result.
func (c *Client) Send(from string, to []string, message []byte) Transaction {
	c.tb.Helper()
	t := Transaction{Rcpt: map[string]Reply{}}
	if t.Mail = c.reply(c.Mail(from)); !t.Mail.Positive() {
		return t
	}
	accepted := false
	for _, addr := range to {
		t.Rcpt[addr] = c.reply(c.Rcpt(addr))
		accepted = accepted || t.Rcpt[addr].Positive()
	}
	if !accepted {
		c.reply(c.Reset())
		return t
	}
	w, err := c.Data()
	if err != nil {
		t.Data = c.reply(err)
		return t
	}
	if _, err := w.Write(message); err != nil {
		c.tb.Fatal(err)
	}
	t.Data = c.reply(w.Close())
	return t
}

// reply turns what net/smtp returned into the reply it was.
func (c *Client) reply(err error) Reply {
	c.tb.Helper()
	if err == nil {
		return Reply{Code: 250}
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return Reply{Code: e.Code, Text: e.Msg}
	}
	c.tb.Fatalf("connection lost: %v", err)
	return Reply{}
}
