package route

import (
	"errors"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

func parse(tb testing.TB, s string) address.Address {
	tb.Helper()
	if s == "" {
		return address.Null
	}
	a, err := address.Parse(s)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func local(a address.Address) bool { return a.Domain() == "example.org" }

// TestFirstMatchDecides: each condition is tried with facts that meet it and with facts
// that differ in it alone.
func TestFirstMatchDecides(t *testing.T) {
	table, err := New([]Route{
		{Name: "listener", Conditions: Conditions{Listener: []string{"scan*"}}},
		{Name: "rule", Conditions: Conditions{Rule: []string{"vip", "part?"}, Direction: "outbound"}},
		{Name: "sender", Conditions: Conditions{Sender: []string{"boss@example.org", "<>"}, ExceptRecipient: []string{"example.com"}}},
		{Name: "inbound", Conditions: Conditions{Direction: "inbound"}},
		{Name: "partner", PerDomain: true, Conditions: Conditions{Recipient: []string{".example.net", "example.net"}, ExceptSender: []string{"mallory@example.org"}}},
		{Name: "rest"},
	}, local)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		listener, direction, rule, from, to, want string
	}{
		{"scanner", "outbound", "", "a@example.org", "b@example.com", "listener"},
		{"main", "outbound", "vip", "a@example.org", "b@example.com", "rule"},
		{"main", "outbound", "party", "a@example.org", "b@example.com", "rule"},
		{"main", "inbound", "vip", "a@example.org", "b@example.com", "inbound"},
		{"main", "outbound", "", "Boss@example.org", "b@example.net", "sender"},
		{"main", "outbound", "", "boss@example.org", "b@example.com", "rest"},
		{"main", "outbound", "", "", "b@example.net", "sender"},
		{"main", "outbound", "", "a@example.org", "b@mx.EXAMPLE.net", "partner/mx.example.net"},
		{"main", "outbound", "", "mallory@example.org", "b@example.net", "rest"},
		{"main", "inbound", "", "a@example.com", "b@example.org", "inbound"},
		{"", "", "", "a@example.com", "b@example.org", "inbound"},
		{"", "", "", "a@example.com", "b@example.com", "rest"},
		{"main", "outbound", "", "a@example.com", "b@example.org", "rest"},
	} {
		got := table.Destination(Facts{
			Listener: tt.listener, Direction: tt.direction, Rule: tt.rule, Sender: parse(t, tt.from), Recipient: parse(t, tt.to),
		}).String()
		if got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// TestFacts: mail that came in encrypted leaves under an address of the gateway, and is
// routed by the one it came in under.
func TestFacts(t *testing.T) {
	d := relay.Delivery{Sender: parse(t, "bounce+x@gw.example.org"), Listener: "in", Direction: "inbound"}
	r := relay.Recipient{Address: parse(t, "b@example.org"), Rule: "vip"}
	want := Facts{Sender: d.Sender, Recipient: r.Address, Listener: "in", Direction: "inbound", Rule: "vip"}
	if got := FactsOf(&d, r); got != want {
		t.Errorf("%+v", got)
	}
	d.Secret = &relay.Secret{Sender: parse(t, "a@example.net")}
	want.Sender = d.Secret.Sender
	if got := FactsOf(&d, r); got != want {
		t.Errorf("%+v", got)
	}
}

// TestProblems: all that is wrong is named, and a table that leaves mail without a way is
// none.
func TestProblems(t *testing.T) {
	_, err := New([]Route{{Name: "a", Conditions: Conditions{Recipient: []string{"@x"}, ExceptSender: []string{""}}}}, local)
	var keys []string
	for _, e := range fault.Each(err) {
		if p, ok := errors.AsType[*Problem](e); ok && p.Index == 0 {
			keys = append(keys, p.Key)
		} else {
			keys = append(keys, e.Error())
		}
	}
	want := "recipient, except_sender, the last route has conditions: some mail would have none"
	if got := strings.Join(keys, ", "); got != want {
		t.Errorf("%s", got)
	}
}
