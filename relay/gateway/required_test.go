package gateway

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Of a client whose networks others send from, mail is taken with the field of the
// listener alone, once and with the right value; the field does not leave.
func TestRequiredHeader(t *testing.T) {
	w := newWorld(t)
	for i := range w.config.Listeners {
		if w.config.Listeners[i].Name == "out" {
			w.config.Listeners[i].Required = "X-Tenant: example.onmicrosoft.example"
		}
	}
	w.start()
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
		a, err := w.gateway.Process(context.Background(), env, m, relay.Capabilities{})
		x, problem := w.gateway.Explain(context.Background(), env, m)
		if problem != nil {
			t.Fatal(problem)
		}
		if !tc.taken {
			if err == nil || relay.ReplyFor(err).Code != 550 || !strings.HasPrefix(x.Refused, "550 5.7.1 ") {
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
