package store

import (
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// OrderState is how far an order has come. Each step is stored before the next one is
// begun, so that a process that dies is followed by another at the same place.
type OrderState string

// The states, in their order; an order ends as done, or cancelled. A failed one waits for
// an administrator.
const (
	OrderReady     OrderState = "ready"     // its key is stored; nothing was sent
	OrderSent      OrderState = "sent"      // a request may have reached the provider
	OrderAnswered  OrderState = "answered"  // the certificate is in the order
	OrderDone      OrderState = "done"      // the identity is in the store
	OrderFailed    OrderState = "failed"    // refused for good
	OrderCancelled OrderState = "cancelled" // by an administrator
)

// Over reports whether an order has ended: another one may follow.
func (s OrderState) Over() bool { return s == OrderDone || s == OrderCancelled }

// Purpose is what the key of an order is for.
type Purpose string

// The purposes.
const (
	ForBoth       Purpose = "both"
	ForSigning    Purpose = "sign"
	ForEncryption Purpose = "encrypt"
)

// Order is one certificate that was ordered, or is about to be.
type Order struct {
	// ID is unique; Bundle is that of the orders whose certificates are used together.
	ID, Bundle string
	Address    address.Address
	// Enrolment is the name of the table that asks for it.
	Enrolment string
	Purpose   Purpose
	State     OrderState
	// Token is the name of the token in which the key is made; "" for a key in the store.
	Token string
	// Key is the private key, a certs.TokenKey for one in a token; nil where the order is over,
	// where it was not asked for, and where it is not made yet.
	Key any
	// Reference is what the provider needs to know of its own order; it is no secret.
	Reference []byte
	// Certificates are the provider's answer, that of the key first.
	Certificates []*x509.Certificate
	// Attempts are those since the provider last answered; NextAt is when the next is due.
	Attempts                     int
	NextAt, OrderedAt, ChangedAt time.Time
	// ClaimedUntil is when the attempt that is under way is over, whatever becomes of the
	// process that makes it; zero where none is.
	ClaimedUntil time.Time
	claim        string
	// Problem is why the last attempt failed; "" if it did not.
	Problem string
}

// Undecided reports whether a request may have been sent of whose outcome nothing is noted: the
// process that made the attempt is at work on it, or died over it, or the provider had not decided
// when the order was cancelled.
func (o *Order) Undecided() bool { return o.claim != "" }

// OrderQuery says which orders Orders returns: those for which all that is set holds.
type OrderQuery struct {
	// Prefix: the ID begins so.
	Prefix string
	Bundle string
	// Address: for this one.
	Address *address.Address
	// Enrolment: of this table.
	Enrolment string
	// States: one of these.
	States []OrderState
	// Due: to be worked on at this time, those that are due for the longest time first; among
	// them are cancelled ones that are not cleared.
	Due time.Time
	// Keys: fill in Order.Key.
	Keys bool
	// Limit is the most orders; 0 is all.
	Limit int
}

// What orders are refused for.
var (
	ErrNoOrder       = errors.New("no such order")
	ErrOrderOpen     = errors.New("there is an order for the address already")
	ErrTooManyOrders = errors.New("too many certificates were ordered in the last hour")
)

// working are the states in which an order is worked on.
func (s OrderState) working() bool {
	return slices.Contains([]OrderState{OrderReady, OrderSent, OrderAnswered}, s)
}
