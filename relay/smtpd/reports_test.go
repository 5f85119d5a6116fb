package smtpd

import (
	"context"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// The words of a next hop that has seen what was decrypted do not go back.
func TestLMTPAnswersForWhatWasEncrypted(t *testing.T) {
	h := &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		d := wiretest.Copy(env, m, env.Recipients...)
		d.Secret = &relay.Secret{}
		return &answer.Outcome{Deliveries: []relay.Delivery{d}}, nil
	}}
	sink := &wiretest.Sink{OnDeliver: func(to string) error {
		code := 550
		if strings.HasPrefix(to, "later") {
			code = 451
		}
		kind := map[int]fault.Kind{550: fault.Refused, 451: fault.NextHop}[code]
		return &fault.Error{Kind: kind, Public: "hidden", Reply: fault.Reply{Code: code, Enhanced: [3]int{code / 100, 7, 1}, Text: "spam: hidden words"}}
	}}
	w := start(t, Config{LMTP: true, Handler: h, Deliverer: sink})
	p := w.dial()
	p.envelope("LHLO", "b@example.net", "later@example.net")
	p.do("DATA", "354 ")
	p.send(text + ".\r\n")
	for _, want := range []string{"550 5.0.0 <b@example.net> the message could not be delivered", "451 4.4.1 <later@example.net> the message could not be delivered yet"} {
		p.expect(want)
	}
}

// What comes back to an address of the gateway's own is answered when the sender
// was notified.
func TestReturnedMail(t *testing.T) {
	for _, tt := range []struct {
		lmtp, notice, down bool
		want               string
	}{
		{true, true, false, "250 2.0.0"}, {true, false, false, "250 2.0.0"}, {true, true, true, "451 4.4.1"},
		{false, true, false, "250 "}, {false, false, false, "250 "},
	} {
		h := &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
			o := &answer.Outcome{Returned: wiretest.Addresses(env)}
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
