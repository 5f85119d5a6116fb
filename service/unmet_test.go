package service

import (
	"strings"
	"testing"

	"github.com/smimerelay/smimerelay/internal/config"
)

// TestUnmetConditions: what no message can meet is told before mail shows it.
func TestUnmetConditions(t *testing.T) {
	listener := func(name, protocol string) config.Listener { return config.Listener{Name: name, Protocol: protocol} }
	filter, submission := listener("filter", "lmtp"), listener("submission", "milter")
	list := func(s ...string) []string { return s }
	for name, tt := range map[string]struct {
		listeners []config.Listener
		rule      config.Rule
		entitled  []config.Entitlement
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
	} {
		var keys []string
		for _, p := range unmet(&config.Config{Listeners: tt.listeners, Rules: []config.Rule{tt.rule}, Entitled: tt.entitled}) {
			keys = append(keys, p.Key)
		}
		if got := strings.Join(keys, " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
