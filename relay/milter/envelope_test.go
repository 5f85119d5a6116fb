package milter

import (
	"context"
	"fmt"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/wiretest"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/answer"
	"github.com/smimerelay/smimerelay/smime/message"
)

// concealed hands on a copy as the gateway does for mail that was encrypted.
func concealed(t *testing.T) process {
	return func(_ context.Context, env *relay.Envelope, m *message.Message) (*answer.Outcome, error) {
		d := wiretest.Copy(env, m)
		d.Sender, d.Params.Return, d.Secret = wiretest.Address(t, "own@gw.example.com"), "HDRS", &relay.Secret{}
		for _, r := range env.Recipients {
			r.Notify = []string{"FAILURE"}
			if r.Address.Local() == "never" {
				r.Notify = []string{"NEVER"}
			}
			d.Recipients = append(d.Recipients, r)
		}
		return &answer.Outcome{Deliveries: []relay.Delivery{d}}, nil
	}
}

// The MTA's message gets the envelope of mail that was encrypted.
func TestEnvelopeIsChangedInPlace(t *testing.T) {
	w := start(t, Config{Handler: &wiretest.Handler{OnProcess: concealed(t)}})
	m := w.dial()
	m.send('M', "<a@example.org>\x00RET=FULL\x00ENVID=e1\x00")
	for _, packet := range []string{"<b@example.net>\x00NOTIFY=SUCCESS,FAILURE\x00", "<\"b\"@EXAMPLE.net>\x00", "<c@example.net>\x00NOTIFY=FAILURE\x00", "<never@example.net>\x00NOTIFY=SUCCESS\x00", "<d@example.net>\x00"} {
		m.send('R', packet)
		if code, data := m.receive(); code != 'c' {
			t.Fatalf("%q answered %c %q", packet, code, data)
		}
	}
	m.recipients = []string{"b@example.net", `"b"@EXAMPLE.net`, "c@example.net", "never@example.net", "d@example.net"}
	if got := m.message(text); got != "a" {
		t.Fatalf("answer %q", got)
	}
	if m.sender != "<own@gw.example.com>\x00RET=HDRS" {
		t.Errorf("sender %q", m.sender)
	}
	if got := fmt.Sprint(m.recipients); got != `[c@example.net "b"@EXAMPLE.net never@example.net d@example.net]` {
		t.Errorf("recipients %s", got)
	}
	want := map[string]string{`"b"@EXAMPLE.net`: "NOTIFY=FAILURE", "never@example.net": "NOTIFY=NEVER", "d@example.net": "NOTIFY=FAILURE"}
	if fmt.Sprint(m.arguments) != fmt.Sprint(want) {
		t.Errorf("arguments %q", m.arguments)
	}
}

// An MTA that cannot be given another envelope keeps nothing: the copy goes through
// the queue.
func TestEnvelopeThatCannotBeChanged(t *testing.T) {
	for _, actions := range []uint32{0x1ff &^ 0x40, 0x1ff &^ 0x80, 0x3f} {
		w := start(t, Config{Handler: &wiretest.Handler{OnProcess: concealed(t)}})
		m := w.dialOffering(actions, allSteps)
		m.mail("a@example.org")
		m.rcpt("b@example.net")
		if got := m.message(text); got != "d" {
			t.Errorf("actions %#x: answer %q", actions, got)
		}
		if all := w.sink.All(); len(all) != 1 || all[0].Sender.String() != "own@gw.example.com" || all[0].Params.Return != "HDRS" {
			t.Errorf("actions %#x: queued %+v", actions, all)
		}
	}
}

// Mail for addresses of the gateway's own is taken, and nothing is left of it but
// what is reported to the sender.
func TestReturnedMail(t *testing.T) {
	w := start(t, Config{Handler: &wiretest.Handler{OnProcess: func(_ context.Context, env *relay.Envelope, _ *message.Message) (*answer.Outcome, error) {
		return &answer.Outcome{Returned: wiretest.Addresses(env), Notices: []relay.Delivery{wiretest.Notice(t, "a@example.org")}}, nil
	}}})
	m := w.dial()
	m.mail("")
	m.rcpt("own@gw.example.com")
	if got := m.message(text); got != "d" {
		t.Errorf("answer %q", got)
	}
	if got := fmt.Sprint(w.sink.Recipients()); got != "[a@example.org]" {
		t.Errorf("queued %s", got)
	}
}
