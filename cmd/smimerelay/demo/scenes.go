package demo

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/message"
)

// scene is one message with what is expected of it.
type scene struct {
	number, title string
	inbound       bool
	from          string
	to            []string
	text          string
	make          func(w *world, m *message.Message) ([]byte, error)
	// deliveries is how many messages leave for it, notices included.
	deliveries int
	// expect says for each recipient what must become of it.
	expect map[string]check
}

// scenes is the play.
func scenes(*world) []scene {
	return []scene{
		{
			number: "1", title: "signed and encrypted", from: alice, to: []string{bob},
			text:       "Dear Bob,\r\n\r\nthe offer is 4,711 euros, for you only.\r\n\r\nAlice\r\n",
			deliveries: 1, expect: map[string]check{bob: sealed},
		},
		{
			number: "2", title: "no certificate", from: alice, to: []string{carol},
			text:   "Dear Carol,\r\n\r\nthis must not travel in the clear.\r\n",
			expect: map[string]check{carol: refused("no valid S/MIME certificate")},
		},
		{
			number: "3", title: "only an expired certificate", from: alice, to: []string{dave},
			text:   "Dear Dave,\r\n\r\nthis must not travel in the clear either.\r\n",
			expect: map[string]check{dave: refused("expired")},
		},
		{
			number: "4", title: "mixed: one has a certificate", from: alice, to: []string{erin, frank},
			text:       "Dear all,\r\n\r\nthe project plan: nur für Sie, à bientôt.\r\n",
			deliveries: 2, expect: map[string]check{erin: sealed, frank: stripped},
		},
		{
			number: "5", title: "signed only", from: alice, to: []string{greta},
			text:       "Dear Greta,\r\n\r\nthis may be read by everybody, and was written by me.\r\n",
			deliveries: 1, expect: map[string]check{greta: signedOnly},
		},
		{
			number: "6", title: "inbound, signed", inbound: true, from: bob, to: []string{alice},
			text: "Dear Alice,\r\n\r\nI accept.\r\n\r\nBob\r\n", make: signedBy(bob),
			deliveries: 1, expect: map[string]check{alice: status("pass", "signed=yes", "signer="+bob)},
		},
		{
			number: "7", title: "inbound, signed, then tampered", inbound: true, from: bob, to: []string{alice},
			text: "Dear Alice,\r\n\r\nI accept.\r\n\r\nBob\r\n", make: tampered(bob),
			deliveries: 1, expect: map[string]check{alice: status("fail", "signed=yes")},
		},
		{
			number: "8", title: "inbound, signed and encrypted", inbound: true, from: bob, to: []string{alice},
			text: "Dear Alice,\r\n\r\nfor your eyes only.\r\n\r\nBob\r\n", make: sealedBy(bob, alice),
			deliveries: 1, expect: map[string]check{alice: status("pass", "encrypted=yes", "signer="+bob)},
		},
		{
			number: "9", title: "inbound, status forged", inbound: true, from: "mallory@example.biz", to: []string{alice},
			text: "Dear Alice,\r\n\r\nI am Bob, trust me.\r\n", make: forged,
			deliveries: 1, expect: map[string]check{alice: status("none", "signed=no")},
		},
	}
}

// subject is what the scene's message is called.
func (s scene) subject() string { return "Demo " + s.number + ": " + s.title }

// compose writes the message as the sender's client would.
func (s scene) compose(w *world) ([]byte, error) {
	at := w.clock()
	raw := fmt.Sprintf("Date: %s\r\nFrom: %s\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <demo-%s.%d@%s>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s",
		at.Format(time.RFC1123Z), s.from, strings.Join(s.to, ", "), s.subject(), s.number, at.UnixNano(), domainOf(s.from), s.text)
	if s.make == nil {
		return []byte(raw), nil
	}
	m, err := message.Parse([]byte(raw))
	if err != nil {
		return nil, err
	}
	return s.make(w, m)
}

func domainOf(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

func signedBy(who string) func(*world, *message.Message) ([]byte, error) {
	return func(w *world, m *message.Message) ([]byte, error) {
		signed, err := smime.Sign(m, w.identity(who), smime.SignOptions{Time: w.clock()})
		if err != nil {
			return nil, err
		}
		return signed.Bytes(), nil
	}
}

// tampered changes what was signed after it was signed.
func tampered(who string) func(*world, *message.Message) ([]byte, error) {
	return func(w *world, m *message.Message) ([]byte, error) {
		raw, err := signedBy(who)(w, m)
		if err != nil {
			return nil, err
		}
		changed := bytes.Replace(raw, []byte("I accept."), []byte("I refuse."), 1)
		if bytes.Equal(changed, raw) {
			return nil, fmt.Errorf("nothing to tamper with")
		}
		return changed, nil
	}
}

func sealedBy(who, to string) func(*world, *message.Message) ([]byte, error) {
	return func(w *world, m *message.Message) ([]byte, error) {
		signed, err := smime.Sign(m, w.identity(who), smime.SignOptions{Time: w.clock()})
		if err != nil {
			return nil, err
		}
		sealed, err := smime.Encrypt(signed, []*x509.Certificate{w.identity(to).Certificate}, smime.EncryptOptions{})
		if err != nil {
			return nil, err
		}
		return sealed.Bytes(), nil
	}
}

// forged adds the fields that only the gateway may write.
func forged(_ *world, m *message.Message) ([]byte, error) {
	const lies = "Authentication-Results: gw.example.org; smime=pass body.smime-identifier=" + bob + "\r\n" +
		"X-SMIME-Status: pass; signed=yes; signer=" + bob + "\r\n"
	return append([]byte(lies), m.Bytes()...), nil
}
