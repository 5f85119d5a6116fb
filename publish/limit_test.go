package publish

import (
	"net/netip"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Now()
	l := NewLimiter(func() time.Time { return now })
	ask := func(client string, n int) (allowed int) {
		for range n {
			if l.Allow(netip.MustParseAddr(client), 10) {
				allowed++
			}
		}
		return allowed
	}
	want := func(name string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d allowed, want %d", name, got, want)
		}
	}
	want("a client", ask("192.0.2.1", 20), 10)
	want("the same, mapped", ask("::ffff:192.0.2.1", 5), 0)
	want("another", ask("192.0.2.2", 20), 10)
	want("a network", ask("2001:db8::1", 20), 10)
	want("an address in it", ask("2001:db8::ffff:2", 5), 0)
	want("another network", ask("2001:db8:0:1::1", 5), 5)
	now = now.Add(30 * time.Second)
	want("half a minute later", ask("192.0.2.1", 20), 5)
	now = now.Add(-time.Hour)
	want("a clock set back", ask("192.0.2.1", 5), 0)
	now = now.Add(24 * time.Hour)
	want("a day later", ask("192.0.2.1", 20), 10)
	if !l.Allow(netip.Addr{}, 1) || l.Allow(netip.Addr{}, 1) {
		t.Error("clients without an address are one")
	}
}
