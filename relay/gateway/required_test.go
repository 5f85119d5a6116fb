package gateway

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Of a client whose networks others send from, mail is taken with the field of the
// listener alone, once and with the right value; the field does not leave.
func TestRequiredHeader(t *testing.T) {
	w := newWorld(t)
	w.requireField()
	const right, wrong = "x-tenant:  example.onmicrosoft.example \r\n", "X-Tenant: evil.onmicrosoft.example\r\n"
	for _, tc := range []struct {
		fields string
		taken  bool
	}{
		{right, true}, {"", false}, {wrong, false}, {right + wrong, false}, {wrong + right, false}, {right + right, false},
		{"X-Tenant: example.onmicrosoft.example.evil.example\r\n", false}, {"X-Tenant: EXAMPLE.onmicrosoft.example\r\n", false}, {"X-Tenant:\r\n", false},
		{"Subject: x\r\n\tX-Tenant: example.onmicrosoft.example\r\n", false},
	} {
		m, err := message.Parse([]byte("From: alice@own.example\r\nTo: x@plain.example\r\n" + tc.fields + "\r\nx\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		env := w.envelope("out", "alice@own.example", "x@plain.example")
		w.log.Reset()
		a, err := w.gateway.Process(context.Background(), env, m, relay.Capabilities{})
		x, problem := w.gateway.Explain(context.Background(), env, m)
		if problem != nil {
			t.Fatal(problem)
		}
		if !tc.taken {
			if !strings.Contains(w.log.String(), "msg=decision") || !strings.Contains(w.log.String(), `outcome=refused reason="this client may not send mail here: the message lacks the right X-Tenant"`) {
				t.Errorf("%q: no decision in the log: %s", tc.fields, w.log)
			}
			if err == nil || !fault.Of(err).Logged || relay.ReplyFor(err).Code != 550 || !strings.HasPrefix(x.Refused, "550 5.7.1 ") {
				t.Errorf("%q: %v, explained %q", tc.fields, err, x.Refused)
			}
			continue
		}
		if err != nil || x.Refused != "" {
			t.Errorf("%q: %v, explained %q", tc.fields, err, x.Refused)
			continue
		}
		for _, d := range a.Copies() {
			if bytes.Contains(bytes.ToLower(d.Message.Bytes()), []byte("x-tenant")) {
				t.Errorf("the field leaves: %s", d.Message.Bytes())
			}
		}
		if len(a.Copies()) == 0 {
			t.Errorf("no copies: %+v", a)
		}
	}
	// By other listeners nothing is asked for.
	m, err := message.Parse([]byte("From: x@far.example\r\nTo: alice@own.example\r\n\r\nx\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.gateway.Process(context.Background(), w.envelope("in", "x@far.example", "alice@own.example"), m, relay.Capabilities{}); err != nil {
		t.Error(err)
	}
}

// requireField makes the listener "out" one that asks for a field.
func (w *world) requireField() {
	w.t.Helper()
	for i := range w.config.Listeners {
		if w.config.Listeners[i].Name == "out" {
			w.config.Listeners[i].Required = "X-Tenant: example.onmicrosoft.example"
		}
	}
	w.start()
}

// A client that has not shown yet who it is makes the gateway ask no directory, and gets
// the same answer for each recipient.
func TestRequiredHeaderComesBeforeLookups(t *testing.T) {
	w := newWorld(t)
	w.requireField()
	env := w.envelope("out", "alice@own.example")
	for _, to := range []string{dave, bob, erin, "none@strip.example", "x@plain.example"} {
		if err := w.gateway.Recipient(context.Background(), env, relay.Recipient{Address: w.addr(to)}); err != nil {
			t.Errorf("%s: %v", to, err)
		}
	}
	w.gateway.Close() // lookups that run ahead have ended
	if len(w.dir.asked) > 0 {
		t.Errorf("looked up: %v", w.dir.asked)
	}
	m := parseMessage(t, "From: alice@own.example\nTo: "+dave+"\nX-Tenant: example.onmicrosoft.example\n\nx\n")
	a, err := w.gateway.Process(context.Background(), w.envelope("out", "alice@own.example", dave), m, relay.Capabilities{})
	if err == nil && len(a.Copies()) > 0 {
		t.Errorf("one who has no certificate gets the message: %+v", a.Copies())
	}
	if len(w.dir.asked) == 0 {
		t.Error("nothing was looked up for a message that has the field")
	}
}

// The rules of explain see what those see that decide: a message without the field.
func TestRequiredHeaderExplained(t *testing.T) {
	w := newWorld(t)
	w.requireField()
	w.rules(enforce.Rule{Name: "field", Header: []string{"X-Tenant"}, Sign: "never", Encrypt: "require"}, enforce.Rule{Name: "default", Sign: "never", Encrypt: "never"})
	m := parseMessage(t, "From: alice@own.example\nTo: x@plain.example\nX-Tenant: example.onmicrosoft.example\n\nx\n")
	env := w.envelope("out", "alice@own.example", "x@plain.example")
	x, err := w.gateway.Explain(context.Background(), env, m)
	if err != nil || len(x.Recipients) != 1 {
		t.Fatal(err, x)
	}
	if _, err := w.gateway.Process(context.Background(), env, m, relay.Capabilities{}); err != nil {
		t.Fatal(err)
	}
	if x.Recipients[0].Rule != "default" || !strings.Contains(w.log.String(), "rule=default outcome=passed") {
		t.Errorf("explained: %+v; decided: %s", x.Recipients[0], w.log)
	}
}
