package directory

import (
	"context"
	"crypto/sha256"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// addCapabilities notes what the owners of the usable certificates are known to
// read. It counts before what a directory entry says: that is written once and
// forgotten, and mail comes from the program that will read ours. Where no one
// knows, what everybody reads serves.
func (d *Directory) addCapabilities(ctx context.Context, addr address.Address, r *Result) {
	var usable []*Candidate
	var fingerprints [][sha256.Size]byte
	for i := range r.Candidates {
		if c := &r.Candidates[i]; c.Verdict.Result == certs.Pass {
			usable, fingerprints = append(usable, c), append(fingerprints, sha256.Sum256(c.Certificate.Raw))
		}
	}
	if d.cfg.Capabilities == nil || len(usable) == 0 {
		return
	}
	known, err := d.cfg.Capabilities.Ciphers(ctx, fingerprints...)
	if err != nil {
		d.cfg.Log.WarnContext(ctx, "cipher preferences of a recipient could not be read", "address", addr, "error", err)
		return
	}
	for i, c := range usable {
		if list := known[fingerprints[i]]; len(list) > 0 {
			c.Ciphers = list
		}
	}
}
