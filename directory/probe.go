package directory

import (
	"context"
	"errors"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Probe asks each source once, and none of its answers is remembered: about sample, or
// about postmaster of the first of its domains where it is not asked about sample's.
// The answers are in the order of the sources.
func (d *Directory) Probe(ctx context.Context, sample address.Address) []Answer {
	var all []Answer
	for _, s := range d.sources {
		addr := sample
		if !s.domains.match(addr.Domain()) {
			addr = s.domains.sample()
		}
		start := d.cfg.Clock()
		ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
		found, err := s.Find(ctx, addr)
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("no answer in time")
		}
		cancel()
		all = append(all, Answer{Source: s.Name(), Found: len(found.Certificates), Err: err, Elapsed: d.cfg.Clock().Sub(start), Notes: found.Notes})
	}
	return all
}
