package smtpd

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Whatever is refused stands in the log once: with the client, the command, and
// the reason, also where the library refuses it by itself.
func TestRefusalsAreLogged(t *testing.T) {
	for line, want := range map[string]string{
		"MAIL FROM:<a@b@c.example>":             `at=MAIL .*kind=bad-address error="MAIL FROM:<a@b@c.example>: address not understood`,
		"MAIL FROM:a@example.org SIZE=99999999": `at=MAIL code=552 .*99999999 octets declared`,
		"MAIL FROM:<a@example.org> FOO=bar":     `at=MAIL code=555 .*unknown parameter`,
		"MAIL TO:<a@example.org>":               `at=MAIL code=501 .*no FROM:<address>`,
		"RCPT TO:<b%c@x>":                       `at=RCPT command="RCPT TO:<b%c@x>" reply="503 `,
		"DATA":                                  `at=DATA command=DATA reply="503 `,
		"VRFX \x1b[31m\xe2\x80\xae":             `at=VRFX command="VRFX \?\[31m\\\\u202e" reply="500 `,
		"XFORWARD ADDR=x":                       `at=XFORWARD command="XFORWARD ADDR=x" reply="501 `,
		"MAIL FROM:<a@example.org>\r\nMAIL FROM:<a@example.org>":                                     `at=MAIL .*nested MAIL`,
		"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@@c.example>":                                        `id=\w+ client=127.0.0.1 helo=x sender=a@example.org at=RCPT .*b@@c.example`,
		"MAIL FROM:<a@example.org>\r\nRCPT TO:<c@example.net> ORCPT=x":                               `sender=a@example.org at=RCPT code=501 .*ORCPT=x`,
		"MAIL FROM:<a@example.org>\r\nRCPT TO:<no@example.net>":                                      `sender=a@example.org at=RCPT code=550 .*no@example.net.*no such user`,
		"XFORWARD ADDR=192.0.2.9 IDENT=4XY\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<no@example.net>": `queue_id=4XY client=192.0.2.9 sender=a@example.org at=RCPT code=550`,
		"BDAT x": `at=BDAT command="BDAT x" reply="501 `,
	} {
		log := &wiretest.Log{}
		w := start(t, Config{Log: log.Logger(), Forwarders: network("127.0.0.0/8"), Limits: Limits{MessageSize: 1 << 20}, Handler: &wiretest.Handler{
			OnRecipient: func(_ *relay.Envelope, r relay.Recipient) error {
				if r.Address.Local() == "no" {
					return fault.New(fault.Policy, "no such user", nil)
				}
				return nil
			},
		}})
		p := w.dial()
		p.send("EHLO x\r\n" + line + "\r\nQUIT\r\n")
		for range strings.Count(line, "\r\n") + 2 {
			p.expect("")
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 1 || !regexp.MustCompile(want).MatchString(lines[0]) || !strings.Contains(lines[0], "client=") {
			t.Errorf("%q: logged %q, want %s", line, lines, want)
		}
	}
}

// What the gateway has logged is not logged again.
func TestDecisionsAreLoggedOnce(t *testing.T) {
	log := &wiretest.Log{}
	w := start(t, Config{Log: log.Logger(), Handler: &wiretest.Handler{
		OnProcess: func(context.Context, *relay.Envelope, *message.Message) (*answer.Outcome, error) {
			return nil, fault.Logged(fault.New(fault.Policy, "no certificate", nil))
		},
	}})
	p := w.dial()
	p.envelope("EHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("550 5.7.1 no certificate (id ")
	p.do("QUIT", "221 ")
	if log.String() != "" {
		t.Error(log)
	}
}

// LMTP tells the MTA in front a reply; the log has the recipient and the cause.
func TestLMTPFailuresAreLogged(t *testing.T) {
	log := &wiretest.Log{}
	sink := &wiretest.Sink{OnDeliver: func(to string) error {
		if to == "down@example.net" {
			return fault.New(fault.NextHop, "next hop not available", context.DeadlineExceeded)
		}
		return nil
	}}
	w := start(t, Config{LMTP: true, Log: log.Logger(), Deliverer: sink, Handler: handler(t)})
	p := w.dial()
	p.do("LHLO mx.example.org", "250 ")
	p.do("XFORWARD ADDR=192.0.2.9", "250 ")
	p.envelope("", "down@example.net", "x@example.net")
	p.do("DATA", "354 ")
	p.send("Received: from c (c [192.0.2.9])\r\n\tby mx.example.org (Postfix) with ESMTP id 4XYZ\r\n\tfor <x@y>; Sun, 1 Mar 2026 10:00:00 +0000\r\n" +
		"Received: from a by b id NO; Sun, 1 Mar 2026 10:00:00 +0000\r\nMessage-ID: <m@example.org>\r\n" + text + ".\r\n")
	id := regexp.MustCompile(`\(id (\w+)\)`).FindStringSubmatch(p.expect("451 4.4.1"))
	if r := p.expect("250 2.0.0"); id == nil || !strings.HasSuffix(r, "OK: queued as "+id[1]+"\r\n") {
		t.Fatalf("%q, id %q", r, id)
	}
	want := "level=WARN msg=\"not delivered\" listener=door id=" + id[1] + " queue_id=4XYZ message_id=<m@example.org> client=192.0.2.9" +
		" sender=a@example.org recipient=down@example.net code=451 kind=next-hop error=\"next hop not available: context deadline exceeded\" next_hop=\"\"\n"
	if got := log.String(); !strings.HasSuffix(got, want) || strings.Count(got, "\n") != 1 {
		t.Errorf("%s, want %s", got, want)
	}
	for _, d := range sink.All() {
		if d.Origin != (relay.Origin{ID: id[1], QueueID: "4XYZ", MessageID: "<m@example.org>"}) {
			t.Errorf("%+v", d.Origin)
		}
	}
}

// By LMTP the replies are for recipients: what the gateway has not logged of a refusal is
// logged with it, and what it has is not.
func TestLMTPRefusalsAreLoggedOnce(t *testing.T) {
	log := &wiretest.Log{}
	w := start(t, Config{LMTP: true, Log: log.Logger(), Handler: &wiretest.Handler{
		OnProcess: func(_ context.Context, env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
			return &answer.Outcome{Refused: []relay.RecipientStatus{
				{Recipient: env.Recipients[0], Err: fault.New(fault.Policy, "not yet logged", nil)},
				{Recipient: env.Recipients[1], Err: fault.Logged(fault.New(fault.Policy, "logged", nil))},
			}}, nil
		},
	}})
	p := w.dial()
	p.envelope("LHLO", "x@example.net", "y@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("550 5.7.1 <x@example.net> not yet logged")
	p.expect("550 5.7.1 <y@example.net> logged")
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "recipient=x@example.net code=550 kind=policy error=\"not yet logged\"") {
		t.Errorf("logged %s", got)
	}
}
