package nexthop

import (
	"fmt"
	"testing"

	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
)

// TestMailExchangers: who takes the mail of a domain, in which order, and what becomes of
// domains that no one does it for.
func TestMailExchangers(t *testing.T) {
	port := loopback.FreePort(t)
	first := serve(t, fmt.Sprintf("127.0.0.2:%d", port), nil)
	second := serve(t, fmt.Sprintf("127.0.0.3:%d", port), nil)
	// Nothing listens on 127.0.0.4; 127.0.0.99 is this host.
	records := []string{
		"first IN A 127.0.0.2", "second IN A 127.0.0.3", "dead IN A 127.0.0.4", "self IN A 127.0.0.99", "nowhere IN TXT x",
		"both IN MX 10 first", "both IN MX 20 second",
		"fails IN MX 10 dead", "fails IN MX 10 absent", "fails IN MX 20 second",
		"down IN MX 10 dead", "null IN MX 0 .", "implicit IN A 127.0.0.2", "empty IN TXT x", "broken IN MX 10 nowhere", "broken IN MX 20 absent",
		"backup IN MX 10 first", "backup IN MX 20 self", "backup IN MX 30 second",
		"loops IN MX 10 self", "loops IN MX 20 second", "named IN MX 10 gw.example.org.", "named IN MX 20 second",
		"alias IN CNAME both", "both6 IN AAAA ::1", "both6 IN A 127.0.0.2", "dual IN MX 10 both6",
	}
	servers := dnstest.Start(t, dnstest.Zone{Name: "mx.test", Records: records, Unsigned: true}, dnstest.Zone{Name: "bogus.test", Records: records, Expired: true},
		dnstest.Zone{Name: "example.org", Records: []string{"gw IN A 127.0.0.5"}, Unsigned: true})
	n := open(t, Config{Port: port, TLS: Opportunistic, Lookup: lookupBy(t, servers.Validating)})
	for _, tt := range []struct {
		domain, want  string
		first, second int
	}{
		{"both.mx.test", "ok", 1, 0},
		{"alias.mx.test", "ok", 1, 0},
		{"fails.mx.test", "ok", 0, 1},
		{"dual.mx.test", "ok", 1, 0}, // nothing listens on its IPv6 address
		{"implicit.mx.test", "ok", 1, 0},
		{"down.mx.test", "451 4.4.1", 0, 0},
		{"null.mx.test", "556 5.1.10", 0, 0},
		{"empty.mx.test", "550 5.4.4", 0, 0},
		{"absent.mx.test", "550 5.1.2", 0, 0},
		{"broken.mx.test", "550 5.4.4", 0, 0},
		{"backup.mx.test", "ok", 1, 0},
		{"loops.mx.test", "554 5.4.6", 0, 0},
		{"named.mx.test", "554 5.4.6", 0, 0},
		{"both.bogus.test", "451 4.4.3", 0, 0},
		{"[127.0.0.3]", "ok", 0, 1},
		{"[127.0.0.99]", "554 5.4.6", 0, 0},
	} {
		f0, _ := first.got()
		s0, _ := second.got()
		got := deliver(t, n, tt.domain)
		f1, _ := first.got()
		s1, _ := second.got()
		if got != tt.want || f1-f0 != tt.first || s1-s0 != tt.second {
			t.Errorf("%s: %s, %d to the first and %d to the second host; want %+v", tt.domain, got, f1-f0, s1-s0, tt)
		}
	}
	closed := open(t, Config{Port: port, TLS: Opportunistic, Lookup: lookupBy(t, "127.0.0.1:1")})
	if got := deliver(t, closed, "both.mx.test"); got != "451 4.4.3" {
		t.Errorf("without a resolver: %s", got)
	}
}

// TestOrder: a host comes first in proportion to its weight, and one of weight 0 last.
func TestOrder(t *testing.T) {
	firsts := map[int]int{}
	for range 2000 {
		o := order([]int{3, 0, 1}, 3)
		if len(o) != 3 || o[2] != 1 {
			t.Fatalf("order %v", o)
		}
		firsts[o[0]]++
	}
	if firsts[0] < 1300 || firsts[0] > 1700 || firsts[0]+firsts[2] != 2000 {
		t.Errorf("%v", firsts)
	}
	if o := order(nil, 3); o[0] != 0 || o[1] != 1 || o[2] != 2 {
		t.Errorf("without weights: %v", o)
	}
	if o := order([]int{0, 0}, 2); o[0] != 0 || o[1] != 1 {
		t.Errorf("weights of 0: %v", o)
	}
}
