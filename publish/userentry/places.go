package userentry

import (
	"context"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// How long it counts where an address has its entry, and that it has none.
const (
	placeTime  = time.Hour
	absentTime = 10 * time.Minute
)

// Places remembers the entries of addresses between the Targets of a directory, which are made
// every few minutes. It is for one goroutine.
type Places struct {
	Directory Directory
	Clock     func() time.Time

	known map[string]place
	asked int // lookups that were answered
}

type place struct {
	dn    string // "": none, or several
	until time.Time
}

// find returns the name of the only entry of an address; "" where there is no such.
func (p *Places) find(ctx context.Context, a address.Address) (string, error) {
	key, now := a.Key(address.IgnoreCase), p.Clock()
	if k, ok := p.known[key]; ok && now.Before(k.until) {
		return k.dn, nil
	}
	names, err := p.Directory.EntriesOf(ctx, a)
	if err != nil {
		return "", err
	}
	k := place{until: now.Add(absentTime)}
	if len(names) == 1 {
		k = place{names[0], now.Add(placeTime)}
	}
	if p.known == nil {
		p.known = map[string]place{}
	}
	p.known[key] = k
	p.asked++
	return k.dn, nil
}

// forget makes it be looked up again whose entry this is.
func (p *Places) forget(dn string) {
	for key, k := range p.known {
		if k.dn == dn {
			delete(p.known, key)
		}
	}
}
