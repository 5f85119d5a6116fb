package service

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/config"
)

// TestUnmetConditions: what no message can meet is reported before mail shows it.
func TestUnmetConditions(t *testing.T) {
	listener := func(name, protocol string) config.Listener { return config.Listener{Name: name, Protocol: protocol} }
	filter, submission := listener("filter", "lmtp"), listener("submission", "milter")
	list := func(s ...string) []string { return s }
	for name, tt := range map[string]struct {
		listeners []config.Listener
		rule      config.Rule
		entitled  []config.Entitlement
		inbound   []config.InboundRule
		want      string // keys, "" for none
	}{
		"nothing":                       {listeners: []config.Listener{filter}, rule: config.Rule{User: list("*"), Listener: list("*")}},
		"user behind LMTP":              {listeners: []config.Listener{filter}, rule: config.Rule{User: list("alice")}, want: "rule[0].user"},
		"except user behind LMTP":       {listeners: []config.Listener{filter}, rule: config.Rule{ExceptUser: list("alice")}, want: "rule[0].except_user"},
		"user with a milter too":        {listeners: []config.Listener{filter, submission}, rule: config.Rule{User: list("alice")}},
		"user by the filter":            {listeners: []config.Listener{filter, submission}, rule: config.Rule{User: list("alice"), Listener: list("fil*")}, want: "rule[0].user"},
		"user by the milter":            {listeners: []config.Listener{filter, submission}, rule: config.Rule{User: list("alice"), Listener: list("submission")}},
		"network behind LMTP":           {listeners: []config.Listener{filter}, rule: config.Rule{Network: list("192.0.2.0/24")}},
		"no such listener":              {listeners: []config.Listener{filter}, rule: config.Rule{Listener: list("filter", "Filter")}, want: "rule[0].listener"},
		"no such listener to leave out": {listeners: []config.Listener{filter}, rule: config.Rule{ExceptListener: list("x*")}, want: "rule[0].except_listener"},
		"forbid behind LMTP":            {listeners: []config.Listener{filter}, rule: config.Rule{Mixed: "forbid"}, want: "rule[0].mixed"},
		"forbid with a milter":          {listeners: []config.Listener{submission}, rule: config.Rule{Mixed: "forbid"}},
		"entitlement": {listeners: []config.Listener{filter}, want: "entitlement[0].user entitlement[1].from entitlement[2].listener",
			entitled: []config.Entitlement{{User: list("alice")}, {From: list("self")}, {Listener: list("none")}}},
		"inbound rule": {listeners: []config.Listener{filter}, want: "inbound_rule[0].listener inbound_rule[1].except_listener",
			inbound: []config.InboundRule{{Listener: list("none")}, {ExceptListener: list("none", "filter")}, {Listener: list("f*")}}},
	} {
		var keys []string
		for _, p := range unmet(&config.Config{Listeners: tt.listeners, Rules: []config.Rule{tt.rule}, Entitled: tt.entitled, InboundRules: tt.inbound}) {
			keys = append(keys, p.Key)
		}
		if got := strings.Join(keys, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestContradictions: a condition that an exception covers is reported; one that leaves
// something is not.
func TestContradictions(t *testing.T) {
	list := func(s ...string) []string { return s }
	for name, tt := range map[string]struct {
		rule    config.Rule
		inbound config.InboundRule
		from    []string
		want    string
	}{
		"address in domain":      {rule: config.Rule{Sender: list("a@own.example"), ExceptSender: list("own.example")}, want: "rule[0].except_sender"},
		"case":                   {rule: config.Rule{Recipient: list("X.example"), ExceptRecipient: list("x.EXAMPLE")}, want: "rule[0].except_recipient"},
		"domain in subdomains":   {rule: config.Rule{Recipient: list("a.x.example"), ExceptRecipient: list(".x.example")}, want: "rule[0].except_recipient"},
		"domain, one address":    {rule: config.Rule{Recipient: list("x.example"), ExceptRecipient: list("x@x.example")}},
		"one of two":             {rule: config.Rule{From: list("a@own.example", "b@far.example"), ExceptFrom: list("own.example")}},
		"subdomains, one domain": {rule: config.Rule{Recipient: list(".x.example"), ExceptRecipient: list("a.x.example")}},
		"glob":                   {rule: config.Rule{Recipient: list("*@x.example"), ExceptRecipient: list("a@x.example")}},
		"everybody":              {rule: config.Rule{Recipient: list("*"), ExceptRecipient: list("x.example")}},
		"a file":                 {rule: config.Rule{Recipient: list("file:list"), ExceptRecipient: list("x.example", "file:other")}},
		"network in network":     {rule: config.Rule{Network: list("10.1.0.0/16", "10.2.0.1"), ExceptNetwork: list("10.0.0.0/8")}, want: "rule[0].except_network"},
		"wider network":          {rule: config.Rule{Network: list("10.0.0.0/8"), ExceptNetwork: list("10.1.0.0/16")}},
		"user":                   {rule: config.Rule{User: list("bob"), ExceptUser: list("b*")}, want: "rule[0].except_user"},
		"another user":           {rule: config.Rule{User: list("b*"), ExceptUser: list("bob")}},
		"group":                  {rule: config.Rule{SenderGroup: list("g@own.example"), ExceptSenderGroup: list("g@own.example")}, want: "rule[0].except_sender_group"},
		"sizes":                  {rule: config.Rule{LargerThan: 10, SmallerThan: 10}, want: "rule[0].larger_than"},
		"no size":                {rule: config.Rule{LargerThan: 10, SmallerThan: 12}},
		"too large":              {rule: config.Rule{LargerThan: 1000}, want: "rule[0].larger_than"},
		"inbound":                {inbound: config.InboundRule{Result: list("fail"), ExceptResult: list("fail"), Listener: list("none")}, want: "inbound_rule[0].listener inbound_rule[0].except_result"},
		"author":                 {from: list("a@own.example", "own.example", "*", "self", ".own.example", "a@far.example"), want: "entitlement[0].from"},
	} {
		c := &config.Config{
			Domains: list("own.example"), Listeners: []config.Listener{{Name: "l", Protocol: "milter"}}, Limits: config.Limits{MessageSize: 1000},
			Rules: []config.Rule{tt.rule}, InboundRules: []config.InboundRule{tt.inbound}, Entitled: []config.Entitlement{{From: tt.from}},
		}
		var keys []string
		for _, p := range unmet(c) {
			keys = append(keys, p.Key)
		}
		if got := strings.Join(keys, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
