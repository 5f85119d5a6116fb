package ca

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/smime/address"
)

// OnDemandConfig describes how identities are issued to senders that need one.
type OnDemandConfig struct {
	Authority *Authority
	// Key, Validity and Separate are those of every Request.
	Key      string
	Validity time.Duration
	Separate bool
	// RenewBefore is how long before its end an identity is followed by another.
	RenewBefore time.Duration
	// Former are the names (DER) of authorities before this one, and whether they were
	// revoked: then what they issued is followed at once.
	Former map[string]bool
	// PerHour is the most certificates of the authority in an hour, whichever sender
	// they are issued for; beyond it nothing is issued on demand.
	PerHour int
	// Keys are where identities are found, Keep puts new ones there.
	Keys certs.Keys
	Keep func(ctx context.Context, ids ...*certs.Identity) error
	// Withheld says why an address gets no certificate without being asked for;
	// nil: it does.
	Withheld func(ctx context.Context, a address.Address) error
}

// OnDemand issues identities while messages wait. It is safe for concurrent use.
type OnDemand struct {
	OnDemandConfig
	flights singleflight.Group

	mu    sync.Mutex
	going int // certificates that are being made
}

// NewOnDemand returns an OnDemand. What is new is not due, whatever c says.
func NewOnDemand(c OnDemandConfig) *OnDemand {
	if c.Validity == 0 {
		c.Validity = defaultValidity
	}
	c.RenewBefore = min(c.RenewBefore, c.Validity/2)
	return &OnDemand{OnDemandConfig: c}
}

// errTooMany means that the bound on what is issued in an hour is reached.
var errTooMany = errors.New("too many certificates were issued in the last hour; raise ca.max_per_hour if that is intended")

// issueTimeout limits the making of one identity; an RSA key takes seconds.
const issueTimeout = time.Minute

// Issue returns an identity that signs for an address and is not Due: one that is
// there, or a new one. All who ask for one address at the same time get the same.
func (o *OnDemand) Issue(ctx context.Context, a address.Address) (*certs.Identity, error) {
	made, err, _ := o.flights.Do(a.Key(address.ExactCase), func() (any, error) {
		// The first to ask may hang up: the others still want it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issueTimeout)
		defer cancel()
		return o.issue(ctx, a)
	})
	id, _ := made.(*certs.Identity)
	return id, err
}

func (o *OnDemand) issue(ctx context.Context, a address.Address) (*certs.Identity, error) {
	// One may have been issued since our caller looked, perhaps on another node.
	id, err := o.Keys.Signing(ctx, a)
	if err != nil || id != nil && !o.Due(id) {
		return id, err
	}
	if o.Withheld != nil {
		if err := o.Withheld(ctx, a); err != nil {
			return nil, err
		}
	}
	leave, err := o.enter(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := o.Authority.Issue(ctx, Request{Address: a, Key: o.Key, Validity: o.Validity, Separate: o.Separate})
	leave()
	if err != nil {
		return nil, err
	}
	if err := o.Keep(ctx, ids...); err != nil {
		return nil, fmt.Errorf("certificate for %q: cannot be kept: %w", a, err)
	}
	return ids[0], nil
}

// enter counts what is about to be issued against the bound.
func (o *OnDemand) enter(ctx context.Context) (leave func(), err error) {
	each := 1
	if o.Separate || TwoKeys(o.Key) {
		each = 2
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	done, err := o.Authority.Ledger.IssuedSince(ctx, o.issuer(), o.Authority.Clock().Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	if done+o.going+each > o.PerHour {
		return nil, errTooMany
	}
	o.going += each
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.going -= each
	}, nil
}

func (o *OnDemand) issuer() []byte { return o.Authority.Config.Certificate.RawSubject }

// Due reports whether an identity was issued by this authority or one before it, and
// is so near its end that another should follow. Near the end of the authority
// itself nothing better could be had.
func (o *OnDemand) Due(id *certs.Identity) bool {
	c := id.Certificate
	revoked, former := o.Former[string(c.RawIssuer)]
	if !former && string(c.RawIssuer) != string(o.issuer()) {
		return false
	}
	end := o.Authority.Config.Certificate.NotAfter
	return revoked || c.NotAfter.Before(end) && o.Authority.Clock().Add(o.RenewBefore).After(c.NotAfter)
}

// Ready says why nothing can be issued now.
func (o *OnDemand) Ready(ctx context.Context) error {
	if _, _, err := o.Authority.validity(Request{Validity: o.Validity}); err != nil {
		return err
	}
	done, err := o.Authority.Ledger.IssuedSince(ctx, o.issuer(), o.Authority.Clock().Add(-time.Hour))
	if err == nil && done >= o.PerHour {
		err = errTooMany
	}
	return err
}
