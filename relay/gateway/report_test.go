package gateway

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// about is the delivery that a report is about.
func about(env *relay.Envelope, m *message.Message) relay.Delivery {
	return relay.Delivery{Sender: env.Sender, Params: env.Params, Message: m, Listener: env.Listener}
}

func TestReport(t *testing.T) {
	w := newWorld(t)
	env := w.envelope("out", "alice@own.example", dave, erin)
	env.Params.EnvID, env.Params.RequireTLS = "e1", true
	refusals := []relay.RecipientStatus{
		{Recipient: env.Recipients[0], Err: fault.New(fault.Policy, "no valid S/MIME certificate", nil)},
		{Recipient: env.Recipients[1], Err: fault.New(fault.Policy, "another reason", nil)},
	}
	d, ok, err := w.gateway.Report(t.Context(), about(env, w.letter(dave, erin)), relay.Event{About: refusals})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if !d.Params.RequireTLS {
		t.Error("the report of a message with REQUIRETLS is sent without")
	}
	raw := d.Message.Bytes()
	for _, want := range []string{"rfc822; dave@enc.example", "rfc822; erin@enc.example", "Original-Envelope-Id: e1", "Auto-Submitted: auto-replied", "\r\nsubject: confidential-subject", "Diagnostic-Code: smtp; 550 5.7.1 another reason"} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if !d.Sender.IsNull() || len(d.Recipients) != 1 || d.Recipients[0].Address != env.Sender || bytes.Contains(raw, []byte(text)) {
		t.Errorf("the report goes from %q to %v:\n%s", d.Sender, d.Recipients, raw)
	}
}

func TestReportIsWantedByWhom(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		sender string
		notify string
		want   bool
	}{
		{"alice@own.example", "", true},
		{"alice@own.example", "FAILURE", true},
		{"alice@own.example", "success,failure", true},
		{"alice@own.example", "SUCCESS,DELAY", false},
		{"alice@own.example", "NEVER", false},
		{"", "", false},
		{"", "FAILURE", false},
	} {
		env := w.envelope("out", tt.sender, dave)
		if tt.notify != "" {
			env.Recipients[0].Notify = strings.Split(tt.notify, ",")
		}
		_, ok, err := w.gateway.Report(t.Context(), about(env, w.letter(dave)), relay.Event{About: []relay.RecipientStatus{{Recipient: env.Recipients[0], Err: fault.New(fault.Policy, "x", nil)}}})
		if err != nil || ok != tt.want {
			t.Errorf("sender %q, NOTIFY %q: report %v (%v), want %v", tt.sender, tt.notify, ok, err, tt.want)
		}
	}
}

// Every kind of fault has a code whose class agrees with itself.
func TestReplyForEveryKind(t *testing.T) {
	for k := fault.Internal; k <= fault.Refused; k++ {
		r := relay.ReplyFor(fault.New(k, "text", nil))
		class := 5
		if k.Temporary() {
			class = 4
		}
		if r.Code/100 != class || r.Enhanced[0] != class || r.Text != "text" {
			t.Errorf("%s: %+v", k, r)
		}
	}
}

func TestReportIsSignedAndTellsStrangersNothing(t *testing.T) {
	w := newWorld(t)
	w.config.Keys = certs.NewKeys(time.Now, w.issue("postmaster@own.example"))
	w.start()
	env := w.envelope("out", "alice@own.example", dave)
	refused := []relay.RecipientStatus{{Recipient: env.Recipients[0], Err: fault.New(fault.Policy, "x", nil)}}
	d, ok, err := w.gateway.Report(t.Context(), about(env, w.letter(dave)), relay.Event{About: refused})
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if r := w.read(d.Message).Report; r.Result != certs.Pass || r.Signers[0].Addresses[0] != "postmaster@own.example" {
		t.Errorf("the report reads as %+v", r)
	}
	if d.Message.Get("Auto-Submitted") != "auto-replied" || !bytes.Contains(d.Message.Bytes(), []byte("confidential-subject")) {
		t.Errorf("the report lost something:\n%s", d.Message.Bytes())
	}
	env.Sender = w.addr("bounce@elsewhere.example")
	d, _, err = w.gateway.Report(t.Context(), about(env, w.letter(dave)), relay.Event{About: refused})
	if err != nil || bytes.Contains(d.Message.Bytes(), []byte("confidential-subject")) {
		t.Errorf("a stranger reads the header: %v", err)
	}
}

func TestExpiryNoticeIsSigned(t *testing.T) {
	w := newWorld(t)
	w.config.Keys = certs.NewKeys(time.Now, w.issue("postmaster@own.example"))
	w.start()
	to := w.addr("alice@own.example")
	d, err := w.gateway.ExpiryNotice(t.Context(), to, false, []dsn.Expiring{{Addresses: []address.Address{to}, Ends: time.Now()}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.read(d.Message).Report; r.Result != certs.Pass || r.Signers[0].Addresses[0] != "postmaster@own.example" {
		t.Errorf("the notice reads as %+v", r)
	}
	if !d.Sender.IsNull() || len(d.Recipients) != 1 || d.Recipients[0].Address.String() != to.String() || d.Recipients[0].Notify[0] != "NEVER" {
		t.Errorf("envelope: %+v", d)
	}
	if _, err := w.gateway.ExpiryNotice(t.Context(), to, true, nil, 0); err == nil {
		t.Error("a notice about nothing")
	}
}

// A report says who refused, when the message came, and which message it was; for a
// stranger, no more of the message than that.
func TestReportPlacesTheMail(t *testing.T) {
	w := newWorld(t)
	for _, sender := range []string{"alice@own.example", "news@shop.example"} {
		env := w.envelope("out", sender, dave)
		d, ok, err := w.gateway.Report(t.Context(), about(env, w.letter(dave)), relay.Event{
			Arrived: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
			About: []relay.RecipientStatus{{Recipient: env.Recipients[0], Err: &fault.Error{
				Kind: fault.Refused, Public: "x", Host: "mx.example.net", Reply: fault.Reply{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user"},
			}}},
		})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		raw := string(d.Message.Bytes())
		for _, want := range []string{"Remote-MTA: dns; mx.example.net", "Diagnostic-Code: smtp; 550 5.1.1 no such user",
			"host mx.example.net said: 550 5.1.1", "Arrival-Date: Sun, 01 Mar 2026 10:00:00", "Message-ID: <1@own.example>"} {
			if !strings.Contains(raw, want) {
				t.Errorf("to %s: the report lacks %q:\n%s", sender, want, raw)
			}
		}
		if quoted := strings.Contains(raw, "confidential-subject"); quoted != (sender == "alice@own.example") {
			t.Errorf("to %s: header quoted %v", sender, quoted)
		}
	}
}
