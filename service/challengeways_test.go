package service

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/emersion/go-milter"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/smimerelay/smimerelay/internal/testing/testpki"
	"github.com/smimerelay/smimerelay/smime/message"
)

const waysIn = `
[[listener]]
name = "lmtp"
protocol = "lmtp"
address = "127.0.0.1:0"
direction = "inbound"
[[listener]]
name = "milter"
protocol = "milter"
address = "127.0.0.1:0"
direction = "inbound"
[[enrolment]]
`

// deliverLMTP hands raw mail over as an MTA does to a content filter.
func (w *world) deliverLMTP(raw []byte, to string) {
	w.t.Helper()
	c := gosmtp.NewClientLMTP(testpki.Must(net.Dial("tcp", w.address("lmtp"))))
	defer c.Close()
	w.must(c.Mail("bounces@ca.example", nil))
	w.must(c.Rcpt(to, nil))
	d, err := c.Data()
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = d.Write(raw)
	w.must(err)
	w.must(d.Close())
}

// filter shows raw mail to the milter as Postfix does, and reports whether it is to be
// discarded.
func (w *world) filter(raw []byte, to string) (discarded bool) {
	w.t.Helper()
	c := milter.NewClientWithOptions("tcp", w.address("milter"), milter.ClientOptions{
		ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptChangeBody | milter.OptAddRcpt | milter.OptRemoveRcpt,
	})
	defer c.Close()
	s, err := c.Session()
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	step := func(_ *milter.Action, err error) {
		w.t.Helper()
		w.must(err)
	}
	step(s.Conn("ca.example", milter.FamilyInet, 25, "192.0.2.1"))
	step(s.Helo("ca.example"))
	step(s.Mail("bounces@ca.example", nil))
	step(s.Rcpt(to, nil))
	m := testpki.Must(message.Parse(raw))
	for _, f := range m.Fields() {
		value := strings.TrimPrefix(string(f.Raw[len(f.Name)+1:]), " ")
		step(s.HeaderField(f.Name, strings.ReplaceAll(strings.TrimSuffix(value, "\r\n"), "\r\n", "\n")))
	}
	step(s.HeaderEnd())
	_, last, err := s.BodyReadFrom(bytes.NewReader(m.Body()))
	if err != nil {
		w.t.Fatal(err)
	}
	return last.Code == milter.ActDiscard
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
}

// TestChallengeByEachListener: by LMTP, milter and SMTP a forged message goes on its way and
// is not answered, and the right one is answered and goes no further.
func TestChallengeByEachListener(t *testing.T) {
	a := newAuthority(t)
	w := startWorld(t, strings.Replace(a.config(""), "[[enrolment]]\n", waysIn, 1))
	for name, deliver := range map[string]func([]byte, string) bool{
		"smtp":   func(raw []byte, to string) bool { w.deliver(raw, to); return false },
		"lmtp":   func(raw []byte, to string) bool { w.deliverLMTP(raw, to); return false },
		"milter": w.filter,
	} {
		t.Run(name, func(t *testing.T) {
			user, mails, refused := name+"@example.org", w.hop.count(), w.log.count("outcome=\"not answered\"")
			m := w.order(a, user)
			if deliver(m.Bytes("Subject: ACME: "+m.Token+"forged"), user) {
				t.Error("a forged message was discarded")
			}
			w.log.waitCount(t, "outcome=\"not answered\"", refused+1)
			if gone := deliver(a.sign(t, m.Bytes()), user); gone != (name == "milter") {
				t.Errorf("discarded: %t", gone)
			}
			want := 2 // the forged one, and the answer
			if name == "milter" {
				want = 1 // the MTA has the forged one
			}
			reply := "Re: ACME: " + m.Token
			got := w.hop.wait(t, mails+want)
			if got[reply] != 1 || got["ACME: "+m.Token] != 0 {
				t.Errorf("%v", got)
			}
			if err := a.Reply(w.hop.raw(reply)); err != nil {
				t.Error(err)
			}
		})
	}
}
