package smtpd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// reporting passes mail on and notes of whom it is asked for reports.
type reporting struct {
	*wiretest.Handler
	about []string
}

func newReporting(t *testing.T, secret *relay.Secret) *reporting {
	r := &reporting{}
	r.Handler = &wiretest.Handler{
		OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*relay.Outcome, error) {
			d := wiretest.Copy(env, m, env.Recipients...)
			d.Secret = secret
			return &relay.Outcome{Deliveries: []relay.Delivery{d}}, nil
		},
		OnReport: func(_ relay.Delivery, e relay.Event) (relay.Delivery, bool, error) {
			for _, a := range e.About {
				r.about = append(r.about, fmt.Sprint(e.Kind, " ", a.Recipient.Address))
			}
			return wiretest.Notice(t, "report@example.org"), true, nil
		},
	}
	return r
}

// RFC 3461 section 5.2.2: our greeting offered DSN, the next hop's does not.
func TestLMTPReportsWhatIsRelayed(t *testing.T) {
	for _, relays := range []bool{true, false} {
		h := newReporting(t, nil)
		sink := &wiretest.Sink{Relays: relays, OnDeliver: func(to string) error {
			if to == "no@example.net" {
				return fault.New(fault.Refused, "no", nil)
			}
			return nil
		}}
		w := start(t, Config{LMTP: true, Handler: h.Handler, Deliverer: sink})
		p := w.dial()
		p.envelope("LHLO", "b@example.net", "no@example.net")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect("250 2.0.0")
		p.expect("550 5.0.0")
		want, delivered := "[2 b@example.net]", "[b@example.net report@example.org]"
		if !relays {
			want, delivered = "[]", "[b@example.net]"
		}
		if fmt.Sprint(h.about) != want || fmt.Sprint(sink.Recipients()) != delivered {
			t.Errorf("relays %v: asked for reports on %v, delivered %v", relays, h.about, sink.Recipients())
		}
	}
}

// A report that cannot be delivered leaves the answer as it is: the message is gone.
func TestLMTPReportFails(t *testing.T) {
	h := newReporting(t, nil)
	sink := &wiretest.Sink{Relays: true, OnDeliver: func(to string) error {
		if to == "report@example.org" {
			return errors.New("no")
		}
		return nil
	}}
	w := start(t, Config{LMTP: true, Handler: h.Handler, Deliverer: sink})
	p := w.dial()
	p.envelope("LHLO", "b@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	p.expect("250 2.0.0")
}

// The words of a next hop that has seen what was decrypted do not go back.
func TestLMTPAnswersForWhatWasEncrypted(t *testing.T) {
	h := newReporting(t, &relay.Secret{})
	sink := &wiretest.Sink{OnDeliver: func(to string) error {
		code := 550
		if strings.HasPrefix(to, "later") {
			code = 451
		}
		kind := map[int]fault.Kind{550: fault.Refused, 451: fault.NextHop}[code]
		return &fault.Error{Kind: kind, Public: "hidden", Reply: fault.Reply{Code: code, Enhanced: [3]int{code / 100, 7, 1}, Text: "spam: hidden words"}}
	}}
	w := start(t, Config{LMTP: true, Handler: h.Handler, Deliverer: sink})
	p := w.dial()
	p.envelope("LHLO", "b@example.net", "later@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	for _, want := range []string{"550 5.0.0 <b@example.net> the message could not be delivered", "451 4.4.1 <later@example.net> the message could not be delivered yet"} {
		p.expect(want)
	}
}

// What comes back to an address of the gateway's own is answered when the sender
// was told.
func TestReturnedMail(t *testing.T) {
	for _, tt := range []struct {
		lmtp, notice, down bool
		want               string
	}{
		{true, true, false, "250 2.0.0"}, {true, false, false, "250 2.0.0"}, {true, true, true, "451 4.4.1"},
		{false, true, false, "250 "}, {false, false, false, "250 "},
	} {
		h := &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, _ *message.Message) (*relay.Outcome, error) {
			o := &relay.Outcome{Returned: wiretest.Addresses(env)}
			if tt.notice {
				o.Notices = []relay.Delivery{wiretest.Notice(t, "sender@example.org")}
			}
			return o, nil
		}}
		sink := &wiretest.Sink{OnDeliver: func(string) error {
			if tt.down {
				return fault.New(fault.NextHop, "down", nil)
			}
			return nil
		}}
		w := start(t, Config{LMTP: tt.lmtp, Handler: h, Deliverer: sink, Queue: sink})
		p := w.dial()
		p.envelope(map[bool]string{false: "EHLO", true: "LHLO"}[tt.lmtp], "own@gw.example.com")
		p.do("DATA", "354 ")
		p.send(text + ".\r\n")
		p.expect(tt.want)
		if got := len(sink.All()); (got == 1) != (tt.notice && !tt.down) {
			t.Errorf("%+v: %d handed on", tt, got)
		}
	}
}
