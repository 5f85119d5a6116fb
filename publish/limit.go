package publish

import (
	"net/netip"
	"time"

	"github.com/smimerelay/smimerelay/internal/cache"
)

// maxClients is how many clients a Limiter remembers.
const maxClients = 50_000

// Limiter bounds how many questions a client may ask in a minute, so that addresses
// cannot be guessed in bulk. It is safe for concurrent use.
type Limiter struct {
	clock   func() time.Time
	clients *cache.Cache[netip.Prefix, bucket]
}

// bucket is what a client may still ask at a time.
type bucket struct {
	left float64
	at   time.Time
}

// NewLimiter returns a limiter that has seen no client yet.
func NewLimiter(clock func() time.Time) *Limiter {
	return &Limiter{clock: clock, clients: cache.New[netip.Prefix, bucket](maxClients, nil)}
}

// Allow reports whether a client may ask one question more, if it may ask perMinute in a
// minute: at once, and then again as time passes.
func (l *Limiter) Allow(client netip.Addr, perMinute int) bool {
	now, allowed, most := l.clock(), false, float64(perMinute)
	l.clients.Change(Network(client), func(b bucket, known bool) (bucket, bool) {
		if !known {
			b = bucket{most, now}
		}
		b.left = min(most, b.left+most*max(0, now.Sub(b.at).Minutes()))
		b.at = now
		if allowed = b.left >= 1; allowed {
			b.left--
		}
		return b, true
	})
	return allowed
}

// Network is what counts as one client: who has an IPv6 address has 64 bits of them.
func Network(client netip.Addr) netip.Prefix {
	bits := 32
	if client = client.Unmap().WithZone(""); client.Is6() {
		bits = 64
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of clients without an address, on a unix socket
	}
	return p
}
