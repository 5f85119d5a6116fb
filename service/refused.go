package service

import (
	"net/netip"
	"sync"
	"time"

	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/history"
	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/smime/address"
)

// refusals bounds the rows of recipients who are refused before the message comes, other than by
// a rule: those who guess addresses must not push mail out of the history.
type refusals struct {
	mu    sync.Mutex
	since time.Time
	all   int
	of    map[netip.Prefix]int
}

// The most rows of refusals in refusalTime, of all clients and of one of them.
const (
	refusalTime     = time.Minute
	allRefusals     = 60
	clientsRefusals = 10
)

// admit counts a refusal of a client, and reports whether it leaves a row.
func (l *refusals) admit(client netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if age := now.Sub(l.since); age >= refusalTime || age < 0 {
		l.since, l.all, l.of = now, 0, map[netip.Prefix]int{}
	}
	from := networkOf(client)
	if l.all >= allRefusals || l.of[from] >= clientsRefusals {
		return false
	}
	l.all++
	l.of[from]++
	return true
}

// networkOf is what one client has of addresses: one, or 64 bits of IPv6.
func networkOf(client netip.Addr) netip.Prefix {
	bits := 32
	if client = client.Unmap(); client.Is6() {
		bits = 64
	}
	p, err := client.Prefix(bits)
	if err != nil { // it has no address
		return netip.Prefix{}
	}
	return p
}

// refused notes a recipient who was refused before the message came. What a rule refused is noted
// by decision: the log has it from there, too.
func (r *recorder) refused(env *relay.Envelope, to address.Address, direction enforce.Direction, err error) {
	if r == nil || err == nil || to.IsNull() || fault.Of(err).Logged || !r.refusals.admit(env.Client.Addr, r.clock()) {
		return
	}
	row := r.row(env, to, direction)
	row.Decided = history.AtRCPT
	r.refuse(&row, err)
	r.writer.Put(row)
}
