package smtpd

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
)

// deliver sends a message to the recipients accepted so far.
func (p *peer) deliver() {
	p.t.Helper()
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	if r := p.expect("250 2.0.0 "); !strings.Contains(r, "OK: queued as ") {
		p.t.Errorf("%q does not tell the id", r)
	}
}

// RFC 5321 section 4.5.3.1 gives 64 octets and asks for no limit.
func TestLongLocalParts(t *testing.T) {
	long := "bounces+12345678-a1b2-firstname.middlename.lastname=department.example.org"
	for _, lmtp := range []bool{false, true} {
		w := start(t, Config{LMTP: lmtp})
		p := w.dial()
		p.do(map[bool]string{false: "EHLO", true: "LHLO"}[lmtp]+" x", "250 ")
		p.do("MAIL FROM:<"+long+"@example.com>", "250 ")
		p.do("RCPT TO:<"+long+"-confirm@example.net>", "250 ")
		p.deliver()
		d := w.sink.All()[0]
		if d.Sender.Local() != long || d.Recipients[0].Address.Local() != long+"-confirm" {
			t.Errorf("%s, %s", d.Sender, d.Recipients[0].Address)
		}
	}
}

// ORCPT is only to be handed on, and Postfix writes 8-bit octets in xtext for an
// address beyond ASCII (RFC 3461 section 4.2).
func TestOriginalRecipients(t *testing.T) {
	for orcpt, want := range map[string]string{
		"rfc822;j+C3+B6rg@example.net":    "rfc822 jörg@example.net",
		"unknown;eve":                     "unknown eve",
		"x400;/c+3Dde/s+3Deve":            "x400 /c=de/s=eve",
		`UTF-8;j\x{F6}rg@example.net`:     "utf-8 jörg@example.net",
		`utf-8;j\x{00F6}rg@example.net`:   "utf-8 jörg@example.net",
		"utf-8;jörg@example.net":          "utf-8 jörg@example.net",
		"rfc822;a+2bb@example.net":        "rfc822 a+b@example.net",
		"rfc822;srs0=ab=cd=x@example.net": "rfc822 srs0=ab=cd=x@example.net",
	} {
		w := start(t, Config{LMTP: true})
		p := w.dial()
		p.do("LHLO x", "250 ")
		p.do("MAIL FROM:<a@example.org> SMTPUTF8", "250 ")
		p.do("RCPT TO:<jörg@bücher.example> ORCPT="+orcpt, "250 ")
		p.deliver()
		r := w.sink.All()[0].Recipients[0]
		if got := r.OriginalType + " " + r.Original; got != want || r.Address.String() != "jörg@bücher.example" {
			t.Errorf("%q: %q for %s, want %q", orcpt, got, r.Address, want)
		}
	}
	p := start(t, Config{}).dial()
	p.envelope("EHLO")
	for _, bad := range []string{"ORCPT=rfc822", "ORCPT=rfc822;a+0D+0Ab", "ORCPT=;x", "NOTIFY=SOON", "NOTIFY=NEVER,DELAY"} {
		p.do("RCPT TO:<b@example.net> "+bad, "501 5.5.4")
	}
	p.do("RCPT TO:<b@example.net> RRVS=x", "555 5.5.4")
}

// What an MTA alone would correct without a word is no reason to refuse.
func TestSmallThings(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.do("EHLO x ", "250 ")
	p.do("NOOP ", "250 ")
	p.do("RSET\t", "250 ")
	p.do("mail from : < a@example.org. > \t BODY=8bitmime ", "250 ")
	want := ""
	for in, to := range map[string]string{
		"RCPT TO:<b@example.net> ":        "b@example.net",
		"RCPT  TO: <c@example.net>":       "c@example.net",
		"rcpt\tto:d@example.net":          "d@example.net",
		"RCPT TO:<e..f.@example.net>":     `"e..f."@example.net`,
		`RCPT TO:<"g h"@example.net.>`:    `"g h"@example.net`,
		`RCPT TO:<"> \" <i"@example.net>`: `"> \" <i"@example.net`,
		"RCPT TO:<j=k/l#m@example.net>":   "j=k/l#m@example.net",
		"RCPT TO:<Postmaster>":            "Postmaster@gw.example.com",
	} {
		p.do(in, "250 ")
		want += to + " "
	}
	p.do("DATA ", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 ")
	p.do("QUIT ", "221 ")
	d := w.sink.All()[0]
	for _, r := range d.Recipients {
		if !strings.Contains(want, r.Address.String()+" ") {
			t.Errorf("recipient %s is none of %s", r.Address, want)
		}
	}
	if d.Sender.String() != "a@example.org" || len(d.Recipients) != 8 {
		t.Errorf("%s, %d recipients", d.Sender, len(d.Recipients))
	}
}

// What an MTA behind would take for another recipient is refused before the
// handler sees it.
func TestRoutedPaths(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.do("EHLO x", "250 ")
	p.do("MAIL FROM:<@relay.example,@b.example:a@example.org>", "250 ")
	for _, to := range []string{"b", "b%c.example", "c.example!b", "@c.example:b@example.net", "b@c.example@example.net", `"b@c.example"`, "@c.example"} {
		if r := p.do("RCPT TO:<"+to+">", "55"); !strings.HasPrefix(r, "550 5.1.3") && !strings.HasPrefix(r, "553 5.1.3") {
			t.Errorf("%q: %q", to, r)
		}
	}
	w = start(t, Config{AllowRouted: true})
	p = w.dial()
	p.envelope("EHLO", "b%c.example", "@c.example:d@example.net", "e")
	p.deliver()
	if got := fmt.Sprint(w.sink.Recipients()); got != "[b%c.example@gw.example.com d@example.net e@gw.example.com]" {
		t.Error(got)
	}
}

// After QUIT the library has no session any more: what a client sent behind it
// is not read (it made the library panic).
func TestNothingIsReadAfterQUIT(t *testing.T) {
	log := &wiretest.Log{}
	w := start(t, Config{Log: log.Logger()})
	p := w.dial()
	p.send("EHLO x\r\nQUIT\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nRSET\r\n")
	p.expect("250 ")
	p.expect("221 ")
	p.gone()
	if strings.Contains(log.String(), "panic") {
		t.Error(log)
	}
}

// Commands of one group, and those behind a message, are answered one by one.
func TestPipelining(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	p.do("EHLO x", "250 ")
	p.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net> ORCPT=unknown;x\r\nDATA\r\n")
	for _, want := range []string{"250 2.1.0", "250 2.1.5", "250 2.1.5", "354 "} {
		p.expect(want)
	}
	p.send(text + "..\r\n.\r\nMAIL FROM:<d@example.org>\r\nRCPT TO:<e@example.net> ORCPT=unknown;y\r\nBDAT 4\r\nA: b")
	for _, want := range []string{"250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.0.0 Continue"} {
		p.expect(want)
	}
	p.send("BDAT 7 LAST\r\n\r\n\r\nc\r\nNOOP\r\nQUIT\r\n")
	p.expect("250 2.0.0 OK")
	p.expect("250 ")
	p.expect("221 ")
	all := w.sink.All()
	if len(all) != 2 || !strings.HasSuffix(string(all[1].Message.Bytes()), "A: b\r\n\r\nc\r\n") || all[1].Recipients[0].Original != "y" {
		t.Fatalf("%d messages", len(all))
	}
	if !strings.HasSuffix(string(all[0].Message.Bytes()), text+".\r\n") {
		t.Errorf("%q", all[0].Message.Bytes())
	}
}

// countedConn counts the writes of the server.
type countedConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// The replies to commands that came together go out together (RFC 2920 section 3.2), and no
// reply waits for the rest of a line.
func TestRepliesInGroups(t *testing.T) {
	s := NewServer(Config{Hostname: "gw.example.com", Handler: &wiretest.Handler{}, Queue: &wiretest.Sink{}, Log: slog.New(slog.DiscardHandler)})
	ours, theirs := net.Pipe()
	server := &countedConn{Conn: ours}
	_ = s.Serve(&single{conn: server}) // it has one connection
	p := &peer{t: t, Conn: theirs, r: bufio.NewReader(theirs)}
	p.expect("220 ")
	p.do("EHLO client.example.org", "250 ")
	before := server.writes.Load()
	if before != 2 {
		t.Errorf("%d writes for the greeting and the reply to EHLO, which has many lines", before)
	}
	p.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n")
	for _, want := range []string{"250 2.1.0", "250 2.1.5", "250 2.1.5", "354 "} {
		p.expect(want)
	}
	if n := server.writes.Load() - before; n != 1 {
		t.Errorf("%d writes for the replies to four commands", n)
	}
	p.send(text + ".\r\n")
	p.expect("250 ")
	p.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@exam")
	p.expect("250 2.1.0")
	p.send("ple.net>\r\nBDAT 1000\r\nSubject: x\r\n")
	p.expect("250 2.1.5")
	theirs.Close()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A chunk whose size is not understood would be read as commands.
func TestBDATWithoutSize(t *testing.T) {
	for _, args := range []string{"", " x", " 99999999999", " 1 2", " 1 LAST x", " -1"} {
		p := start(t, Config{}).dial()
		p.envelope("EHLO", "b@example.net")
		p.send("BDAT" + args + "\r\nMAIL FROM:<x@example.org>\r\n")
		p.expect("501 5.5.4")
		p.gone()
	}
}

// An MTA in front says by XFORWARD who its client is (Postfix XFORWARD_README):
// for one message, and only one that is trusted.
func TestXFORWARD(t *testing.T) {
	for _, lmtp := range []bool{false, true} {
		hello := map[bool]string{false: "EHLO", true: "LHLO"}[lmtp] + " mx.example.org"
		c := Config{LMTP: lmtp}
		if !lmtp {
			c.Forwarders = network("127.0.0.0/8")
		}
		w := start(t, c)
		p := w.dial()
		if r := p.do(hello, "250 "); !strings.Contains(r, "\r\n250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE LOGIN\r\n") {
			t.Fatalf("%q", r)
		}
		p.do("XFORWARD NAME=client.example ADDR=IPV6:2001:db8::7 PORT=4711", "250 ")
		p.do("XFORWARD PROTO=ESMTP HELO=a+20b IDENT=4BCDX SOURCE=REMOTE LOGIN=alice", "250 ")
		p.do("MAIL FROM:<a@example.org>", "250 ")
		p.do("XFORWARD ADDR=127.0.0.1", "503 5.5.1")
		p.do("RCPT TO:<b@example.net>", "250 ")
		p.deliver()
		p.do("XFORWARD ADDR=192.0.2.1", "250 ")
		p.do("XFORWARD ADDR=[UNAVAILABLE] HELO=[UNAVAILABLE] IDENT=5", "250 ")
		p.envelope("", "b@example.net")
		p.deliver()
		p.envelope("", "b@example.net")
		p.deliver()
		var got []string
		for _, s := range w.handler.Seen() {
			c := s.Envelope.Client
			got = append(got, fmt.Sprintf("%s %q %q %q %q", c.Addr, c.Helo, c.User, s.Envelope.QueueID, s.Envelope.MTA))
		}
		want := []string{
			`2001:db8::7 "a b" "alice" "4BCDX" "mx.example.org"`,
			`invalid IP "" "" "5" "mx.example.org"`,
			`127.0.0.1 "mx.example.org" "" "" "mx.example.org"`,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for _, bad := range []string{"", "ADDR", "ADDR=x", "ADDR=1.2.3", "IDENT=a+0A", "FOO=bar"} {
			p.do("XFORWARD "+bad, "501 5.5.4")
		}
	}
}

// An MTA stands before LMTP; by SMTP strangers may come through a proxy on this host.
func TestXFORWARDFromThisHost(t *testing.T) {
	w := start(t, Config{})
	p := w.dial()
	if r := p.do("EHLO x", "250 "); strings.Contains(r, "XFORWARD") {
		t.Errorf("%q", r)
	}
	p.do("XFORWARD ADDR=192.0.2.7 LOGIN=alice", "550 5.7.0")
	if c := w.clientOf(p); !c.Addr.IsLoopback() || c.User != "" {
		t.Errorf("client %+v", c)
	}
}

func TestXFORWARDFromStrangers(t *testing.T) {
	w := startFor(t, Config{}, "192.0.2.7")
	p := w.dial()
	if r := p.do("EHLO x", "250 "); strings.Contains(r, "XFORWARD") {
		t.Errorf("%q", r)
	}
	p.do("XFORWARD ADDR=127.0.0.1 LOGIN=alice", "550 5.7.0")
	p.envelope("", "b@example.net")
	p.deliver()
	if c := w.handler.Seen()[0].Envelope; c.Client.Addr != netip.MustParseAddr("192.0.2.7") || c.Client.User != "" || c.MTA != "" {
		t.Errorf("%+v", c)
	}
	w = startFor(t, Config{Forwarders: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, "192.0.2.7")
	p = w.dial()
	p.do("EHLO x", "250 ")
	p.do("XFORWARD ADDR=198.51.100.1", "250 ")
	p.envelope("", "b@example.net")
	p.deliver()
	if c := w.handler.Seen()[0].Envelope.Client; c.Addr != netip.MustParseAddr("198.51.100.1") {
		t.Errorf("%+v", c)
	}
}

// TestGreetingNamesTheServer: the reply to a greeting begins with the name of the server
// (RFC 5321 section 4.1.1.1), without an enhanced code (RFC 2034 section 4).
func TestGreetingNamesTheServer(t *testing.T) {
	for greeting, lmtp := range map[string]bool{"EHLO": false, "HELO": false, "LHLO": true} {
		p := start(t, Config{LMTP: lmtp}).dial()
		r := p.do(greeting+" client.example.net", "250 ")
		if !strings.HasPrefix(r[3:], "-gw.example.com ") && !strings.HasPrefix(r[3:], " gw.example.com ") {
			t.Errorf("%s: %q", greeting, r)
		}
		p.do(greeting, "501 ")
		// RFC 2033 section 4.2.
		p.do("DATA", "503 ")
	}
}
