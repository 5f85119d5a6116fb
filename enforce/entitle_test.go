package enforce

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/smime/address"
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
		`line 4: entitlement: names no client; add a user ("?*" matches any authenticated user), a network or a listener`: {Line: 4, From: []string{"own.example"}},
		`line 4: entitlement: from: is empty; write addresses, domains, "self" or "directory"`:                            {Line: 4, User: []string{"*"}},
		`line 4: entitlement: network: "10.0.0.1": not a network; write one such as "192.0.2.0/24"`:                       {Line: 4, Network: []string{"10.0.0.1"}, From: []string{"self"}},
		`line 4: entitlement: from: "@x": begins with "@"; write the domain without it`:                                   {Line: 4, User: []string{"*"}, From: []string{"@x"}},
	} {
		if _, err := CompileEntitlements([]Entitlement{e}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestListedAddresses(t *testing.T) {
	e, err := CompileEntitlements([]Entitlement{
		{User: []string{"?*"}, Network: []string{"192.0.2.0/24"}, From: []string{"directory"}},
		{User: []string{"alice"}, From: []string{"alice@own.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.9")
	for _, tt := range []struct {
		client Client
		want   bool
	}{
		{Client{User: "alice", Addr: inside}, true},
		{Client{User: "alice", Addr: outside}, false},
		{Client{Addr: inside}, false},
	} {
		if got := e.Lists(tt.client); got != tt.want {
			t.Errorf("%+v: %v", tt.client, got)
		}
	}
	sales := mustParse(t, "sales@own.example")
	if e.MaySign(Client{User: "alice", Addr: inside}, sales) {
		t.Error("entitled without a word of the directory")
	}
	if (*Entitlements)(nil).Lists(Client{User: "alice"}) {
		t.Error("no rule needs the directory")
	}
	for _, tt := range []struct {
		listed ListedFacts
		want   bool
	}{
		{ListedFacts{}, false},
		{ListedFacts{Known: true}, false},
		{ListedFacts{Known: true, Addresses: []address.Address{mustParse(t, "SALES@own.example")}}, true},
		{ListedFacts{Known: true, Addresses: []address.Address{mustParse(t, "sales@own.example.org")}}, false},
		{ListedFacts{Addresses: []address.Address{sales}}, false},
	} {
		if got := tt.listed.Has(sales); got != tt.want {
			t.Errorf("%+v: %v", tt.listed, got)
		}
	}
}

// While it is unknown whether the client may sign, what would be signed waits,
// whatever identity would sign.
func TestUnknownEntitlement(t *testing.T) {
	for _, r := range []Rule{
		{Sign: "require"}, {Sign: "prefer"},
		{Sign: "require", Identity: "gw@own.example"}, {Sign: "prefer", Identity: "gw@own.example"},
	} {
		r.Name, r.Encrypt = DefaultRule, "never"
		p, err := Compile([]Rule{r})
		if err != nil {
			t.Fatal(err)
		}
		f := facts(t, "x@plain.example")
		f.Identities = map[string]IdentityFacts{"gw@own.example": {State: Available}}
		f.SignUnknown = "no answer"
		if got := summary(f, Decide(p, &f)); got != "deferred" {
			t.Errorf("sign %s by %q: %s", r.Sign, r.Identity, got)
		}
	}
}
