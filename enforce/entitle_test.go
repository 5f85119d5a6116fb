package enforce

import (
	"net/netip"
	"strings"
	"testing"
)

func TestEntitlements(t *testing.T) {
	e, err := CompileEntitlements([]Entitlement{
		{User: []string{"*"}, From: []string{"self"}},
		{User: []string{"svc-*"}, Network: []string{"192.0.2.0/24"}, From: []string{"sales@own.example", "news.own.example"}},
		{Listener: []string{"billing"}, From: []string{"invoice@own.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.9")
	tests := []struct {
		client Client
		from   string
		want   bool
	}{
		{Client{User: "alice@own.example"}, "alice@own.example", true},
		{Client{User: "ALICE@own.example"}, "alice@own.example", true},
		{Client{User: "alice"}, "alice@own.example", true},
		{Client{User: "alice"}, "bob@own.example", false},
		{Client{User: "alice@other.example"}, "alice@own.example", false},
		{Client{User: "alice@own.example@x"}, "alice@own.example", false},
		{Client{}, "alice@own.example", false},
		{Client{User: "svc-1", Addr: inside}, "sales@own.example", true},
		{Client{User: "svc-1", Addr: inside}, "x@news.own.example", true},
		{Client{User: "svc-1", Addr: inside}, "boss@own.example", false},
		{Client{User: "svc-1", Addr: outside}, "sales@own.example", false},
		{Client{User: "other", Addr: inside}, "sales@own.example", false},
		{Client{Listener: "billing"}, "invoice@own.example", true},
		{Client{Listener: "billings"}, "invoice@own.example", false},
	}
	for _, tt := range tests {
		if got := e.MaySign(tt.client, mustParse(t, tt.from)); got != tt.want {
			t.Errorf("%+v as %s: %v, want %v", tt.client, tt.from, got, tt.want)
		}
	}
	if none, err := CompileEntitlements(nil); err != nil || !none.MaySign(Client{}, mustParse(t, "a@b.example")) {
		t.Error("no list must leave it to the listener")
	}
}

func TestBrokenEntitlements(t *testing.T) {
	for want, e := range map[string]Entitlement{
		`line 4: rule "entitlement": names no client; give it a user ("?*" is whoever logged in), a network or a listener`: {Line: 4, From: []string{"own.example"}},
		`line 4: rule "entitlement": from: names nobody; write addresses, domains or "self"`:                               {Line: 4, User: []string{"*"}},
		`line 4: rule "entitlement": network: "10.0.0.1": not a network; write one such as "192.0.2.0/24"`:                 {Line: 4, Network: []string{"10.0.0.1"}, From: []string{"self"}},
		`line 4: rule "entitlement": from: "@x": write the domain without "@"`:                                             {Line: 4, User: []string{"*"}, From: []string{"@x"}},
	} {
		if _, err := CompileEntitlements([]Entitlement{e}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
