package directory

import (
	"context"

	"github.com/smimerelay/smimerelay/smime/address"
)

// Source is where certificates come from. It knows nothing of trust. A source that
// cannot tell when its answers change, or has nothing to close, embeds Plain.
type Source interface {
	// Name identifies the source in explanations and logs.
	Name() string
	// Find returns what the source has for an address. Nothing is an empty finding; an
	// error means "we do not know". A finding may come with an error: the certificates
	// are then not all there are.
	Find(ctx context.Context, addr address.Address) (Finding, error)
	// Version changes when the answers may have changed, so that a cache need not
	// expire first.
	Version() uint64
	// VersionFor changes when the answers about an address may have changed. ok is
	// false for a source that can tell no more than Version.
	VersionFor(ctx context.Context, addr address.Address) (version uint64, ok bool, err error)
	// Close ends what the source has open. It is called once, and nothing is asked
	// afterwards.
	Close() error
	// groups is what the source knows of groups and users; nil where it knows none.
	groups() groupSource
}

// Plain is for sources that do not know when their answers change: they have one
// version for good, nothing to close, and no groups.
type Plain struct{}

// Version implements Source.
func (Plain) Version() uint64 { return 0 }

// VersionFor implements Source.
func (Plain) VersionFor(context.Context, address.Address) (uint64, bool, error) {
	return 0, false, nil
}

// Close implements Source.
func (Plain) Close() error { return nil }

func (Plain) groups() groupSource { return nil }
