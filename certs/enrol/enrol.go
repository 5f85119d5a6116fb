// Package enrol gets certificates for local addresses: it makes a key, has a provider
// certify it, and puts the identity into the store.
//
// Each certificate is an order in the store. Its key is stored, sealed, before a request
// is sent; one that is made in a token is named by the order, and its public half is stored
// before a request is sent. Each step is stored before the next one begins: a process that is killed
// anywhere is followed by another at the same place, with the same key. What comes back is
// matched by that key. Two nodes do not work on one order: an attempt is claimed, with the
// time of the next one, before it is made. Keys of before stay in the store, and decrypt.
package enrol

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Provider gets keys certified. It must be safe for concurrent use. An error is temporary
// unless it is a Refusal: the attempt is repeated, with growing delays.
type Provider interface {
	// Begin sends the request for an order.
	Begin(ctx context.Context, o *Order) (Answer, error)
	// Continue goes on with an order whose Begin was called, by this process or by one
	// that died: the request may or may not have arrived, so that it must not lead to a
	// second certificate where the provider can tell.
	Continue(ctx context.Context, o *Order) (Answer, error)
}

// gate is a Provider that knows beforehand whether it can serve.
type gate interface {
	// Ready says why n certificates for an address cannot be had now; nil where they can.
	Ready(ctx context.Context, a address.Address, n int) error
}

// judge is a Provider that replaces its own certificates alone.
type judge interface {
	// Due reports whether a certificate is one of its own and should be replaced, before
	// being how long ahead of its expiry.
	Due(c *x509.Certificate, before time.Duration) bool
}

// revoker is a Provider that can revoke what it issued.
type revoker interface {
	Revoke(ctx context.Context, c *x509.Certificate) error
}

// Token makes keys, and keeps them. It must be safe for concurrent use.
type Token interface {
	// Name is its name in the store.
	Name() string
	// Generate returns the key with an identifier, and makes it if there is none. An error is
	// temporary unless it is a Refusal.
	Generate(kind string, id []byte, label string) (crypto.Signer, error)
}

// Order is an order with what a provider may want to know beside it.
type Order struct {
	store.Order
	// Current is the identity that the order replaces; nil where there is none.
	Current *certs.Identity
}

// Answer is what a provider says of an order: certificates, in any order, or that there
// are none yet.
type Answer struct {
	Certificates []*x509.Certificate
	// Key is that of the certificate where the provider made it; nil: it is that of the order.
	Key crypto.PrivateKey
	// After is when to ask again where there are no certificates.
	After time.Duration
	// Reference is kept with the order, also where the answer comes with an error; nil
	// keeps the one that is there.
	Reference []byte
}

// Refusal is an error that no further attempt will mend.
type Refusal struct{ Cause error }

// Error returns the text of the cause.
func (r *Refusal) Error() string { return r.Cause.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Enrolment says for whom certificates are ordered, and how.
type Enrolment struct {
	Name string
	// Match: addresses that it is for; nil is all. Groups: or members of these.
	Match  func(address.Address) bool
	Groups []string
	// Always are those for whom certificates are ordered without mail.
	Always []address.Address
	// Key is as in ca.Request; Separate asks for two.
	Key      string
	Separate bool
	// Token makes the keys; nil: they are made here, and are in the store.
	Token Token
	// RenewBefore is how long before its expiry an identity is replaced.
	RenewBefore time.Duration
	// PerHour is the most certificates that are ordered in an hour.
	PerHour int
	// Timeout bounds one call of the provider.
	Timeout  time.Duration
	Provider Provider
	// Origin is that of the identities in the store.
	Origin store.Origin
}

// Config is what an Enroller needs.
type Config struct {
	// Enrolments: the first that is for an address decides.
	Enrolments []Enrolment
	Store      *store.Store
	// Keys are where identities are found, wherever they are.
	Keys certs.Keys
	// TokenKey finds a key in its token; nil where there are no tokens.
	TokenKey func(*certs.TokenKey) (crypto.Signer, error)
	// InGroup reports whether an address is in a group; nil: no group is known.
	InGroup func(ctx context.Context, a address.Address, group string) (bool, error)
	Clock   func() time.Time
	Log     *slog.Logger
}

// Enroller orders certificates and follows the orders. It is safe for concurrent use.
type Enroller struct {
	Config
	flights singleflight.Group
}

// New returns an Enroller.
func New(c Config) *Enroller { return &Enroller{Config: c} }

// Errors of orders.
var (
	errNoEnrolment = errors.New("no [[enrolment]] is for this address")
	errNoGroups    = errors.New("no directory with groups is configured")
	errNoTokens    = errors.New("its key is in a token, and no token is configured")
)

// notYet says that a certificate was ordered and is not there yet.
type notYet struct{ Text string }

// Error returns the text.
func (n *notYet) Error() string { return n.Text }

// Is reports whether target is certs.ErrOrdered.
func (n *notYet) Is(target error) bool { return target == certs.ErrOrdered }
