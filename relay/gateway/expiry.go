package gateway

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/dsn"
	"github.com/smimerelay/smimerelay/smime/address"
)

// ExpiryNotice writes the mail that tells an owner, or an administrator, of
// identities that end soon; more is how many it leaves out. It bears the null
// reverse-path and is signed like a report.
func (g *Gateway) ExpiryNotice(ctx context.Context, to address.Address, admin bool, ids []dsn.Expiring, more int) (relay.Delivery, error) {
	id := rand.Text()
	m, err := dsn.BuildExpiry(dsn.Expiry{
		ID: id, Hostname: g.Hostname, From: g.Postmaster, To: to, ToAdmin: admin,
		Now: g.Clock(), Identities: ids, More: more, Texts: g.Texts,
	})
	if err != nil {
		return relay.Delivery{}, fmt.Errorf("notice to %s: %w", to, err)
	}
	return g.noticeTo(ctx, to, id, m, ""), nil
}

// EnrolmentNotice writes the mail that tells an administrator of certificates that could
// not be had.
func (g *Gateway) EnrolmentNotice(ctx context.Context, to address.Address, orders []dsn.FailedOrder) (relay.Delivery, error) {
	id := rand.Text()
	m, err := dsn.BuildEnrolment(dsn.Enrolment{
		ID: id, Hostname: g.Hostname, From: g.Postmaster, To: to, Now: g.Clock(), Orders: orders, Texts: g.Texts,
	})
	if err != nil {
		return relay.Delivery{}, fmt.Errorf("notice to %s: %w", to, err)
	}
	return g.noticeTo(ctx, to, id, m, ""), nil
}
