package config

import (
	"strings"
	"testing"
)

// TestLeadsTo: a next hop that is a listener is found in each spelling, and another host is
// not taken for one.
func TestLeadsTo(t *testing.T) {
	for _, tc := range []struct {
		listener, address string
		want              bool
	}{
		{"127.0.0.1:25", "127.0.0.1:25", true},
		{"127.0.0.1:25", "localhost:25", true},
		{"localhost:25", "127.0.0.1:25", true},
		{"0.0.0.0:25", "127.0.0.1:25", true},
		{"[::]:25", "localhost:25", true},
		{":25", "[::1]:25", true},
		{"unix:/run/a", "unix:/run/a", true},
		{"127.0.0.1:25", "127.0.0.1:26", false},
		{"127.0.0.1:25", "127.0.0.2:25", false},
		{"0.0.0.0:25", "mail.example.com:25", false},
		{"0.0.0.0:25", "192.0.2.1:25", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"unix:/run/a", "unix:/run/b", false},
		{"127.0.0.1:25", "", false},
	} {
		if got := leadsTo(tc.listener, tc.address); got != tc.want {
			t.Errorf("%s at the listener %s: %t", tc.address, tc.listener, got)
		}
	}
}

// TestLoops: mail that would come back at once is a problem of the listener or the route.
func TestLoops(t *testing.T) {
	_, problems := Parse("x.toml", []byte(`domains = ["example.org"]
[next_hop]
address = "localhost:2525"
[[listener]]
name = "all"
protocol = "smtp"
address = "0.0.0.0:2525"
direction = "inbound"
[[listener]]
name = "own"
protocol = "smtp"
address = "127.0.0.1:2526"
direction = "inbound"
[[route]]
name = "partner"
recipient = ["example.net"]
to = ["localhost:2526"]
`))
	text := problems.Error()
	for _, want := range []string{"x.toml:7: listener[0].address: is also the next hop", `x.toml:17: route[0].to: "127.0.0.1:2526" is a listener of the gateway`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}
