package service

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/internal/guard"
	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// tallied counts one message and wants metrics, without their prefix.
func tallied(t *testing.T, a relay.Tally, want ...string) {
	t.Helper()
	metrics := observe.NewMetrics(observe.Depth{})
	c := tally{metrics: metrics, direction: func(*relay.Envelope, address.Address) enforce.Direction { return enforce.Inbound }, recorder: func() *recorder { return nil }, whole: func(relay.Tally, string, string) {}}
	c.Answered(a)
	r := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range want {
		if !strings.Contains(r.Body.String(), "\nsmimerelay_"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

func recipients(t *testing.T, addresses ...string) (rs []relay.Recipient) {
	t.Helper()
	for _, s := range addresses {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, relay.Recipient{Address: a})
	}
	return rs
}

func TestCrashesAreCounted(t *testing.T) {
	crash := fault.New(fault.Internal, "internal error", fmt.Errorf("%w: index out of range", guard.ErrPanic))
	env := &relay.Envelope{Listener: "in", Recipients: recipients(t, "a@e.net")}
	tallied(t, relay.Tally{Envelope: env, Err: crash},
		"panics_total 1",
		`refusals_total{kind="internal",listener="in"} 1`,
		`messages_total{direction="inbound",listener="in",outcome="deferred"} 1`,
		`recipients_total{direction="inbound",outcome="deferred"} 1`)
}

// Each recipient is counted once, by what became of it, and each copy by how it
// left.
func TestOutcomesAreCounted(t *testing.T) {
	to := recipients(t, "delivered@e.net", "busy@e.net", "never@e.net", "stripped@e.net", "held@e.net", "group@e.net")
	env := &relay.Envelope{Listener: "in", Recipients: to}
	a := &relay.Answer{
		Deliver: []relay.Delivery{
			{Recipients: to[:1], Treatment: relay.Treatment{Protection: "signed, encrypted"}},
			{Recipients: to[1:2], Treatment: relay.Treatment{Protection: "clear"}},
		},
		Store: relay.Batch{Copies: []relay.Delivery{
			{Recipients: recipients(t, "member@e.net"), Treatment: relay.Treatment{Result: "pass", Encryption: "decrypted"}},
		}},
	}
	for _, kind := range []relay.DispositionKind{relay.Delivered, relay.Delivered, relay.Refused, relay.Stripped, relay.Held, relay.Queued} {
		a.Recipients = append(a.Recipients, relay.Disposition{Kind: kind})
	}
	answers := make([]error, len(to))
	answers[1] = fault.New(fault.NextHop, "busy", errors.New("x"))
	answers[2] = fault.New(fault.Policy, "no", nil)
	tallied(t, relay.Tally{Envelope: env, Decided: a, Answers: answers},
		`messages_total{direction="inbound",listener="in",outcome="accepted"} 1`,
		`recipients_total{direction="inbound",outcome="delivered"} 1`,
		`recipients_total{direction="inbound",outcome="deferred"} 1`,
		`recipients_total{direction="inbound",outcome="refused"} 1`,
		`recipients_total{direction="inbound",outcome="stripped"} 1`,
		`recipients_total{direction="inbound",outcome="held"} 1`,
		`recipients_total{direction="inbound",outcome="queued"} 1`,
		`outbound_total{protection="signed, encrypted"} 1`, `outbound_total{protection="clear"} 0`,
		`inbound_total{encryption="decrypted",result="pass"} 1`)
	tallied(t, relay.Tally{Envelope: env, Answers: []error{answers[2], answers[1], answers[2], answers[2], answers[2], answers[2]}},
		`messages_total{direction="inbound",listener="in",outcome="deferred"} 1`)
}

// TestAlertsSeeTheFirst: what alert rules compare with before is there from the start.
func TestAlertsSeeTheFirst(t *testing.T) {
	t.Parallel()
	s := &Service{metrics: observe.NewMetrics(observe.Depth{})}
	s.meter("outbound", timed{})
	r := httptest.NewRecorder()
	s.metrics.Handler().ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`smimerelay_refusals_total{kind="internal",listener="outbound"} 0`,
		`smimerelay_refusals_total{kind="unavailable",listener="outbound"} 0`,
		`smimerelay_reloads_total{result="failed"} 0`,
		`smimerelay_panics_total 0`,
	} {
		if !strings.Contains(r.Body.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}
