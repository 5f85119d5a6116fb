package enrol

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
)

// tokenTime is how much longer an attempt may take in which a token makes a key.
const tokenTime = 3 * time.Minute

// newKey makes the key of an order. In a token it is named by the order, so that one whose
// process was killed before the store had the key gets the same one in the next attempt.
func (en *Enrolment) newKey(o *store.Order) (any, error) {
	kind := en.kind(o.Purpose)
	if en.Token == nil {
		return ca.GenerateKey(kind)
	}
	id, err := hex.DecodeString(o.ID)
	if err != nil {
		return nil, err
	}
	made, err := en.Token.Generate(kind, id, o.Address.String())
	if err != nil {
		return nil, err
	}
	return &certs.TokenKey{Half: made.Public(), Token: en.Token.Name()}, nil
}

// kind is that of the key for a purpose.
func (en *Enrolment) kind(p store.Purpose) string { return ca.Request{Key: en.Key}.Kind(Use(p)) }

// token is the name of the token that makes the keys; "" where they are made here.
func (en *Enrolment) token() string {
	if en.Token == nil {
		return ""
	}
	return en.Token.Name()
}

// makesSlowly reports whether a key may take longer than a message waits for.
func (en *Enrolment) makesSlowly() bool {
	if en.Token == nil {
		return false
	}
	for _, p := range en.purposes() {
		if strings.HasPrefix(en.kind(p), "rsa") {
			return true
		}
	}
	return false
}

// makeKey makes the key of a claimed order that has none, and stores it: no request leaves
// before that.
func (e *Enroller) makeKey(ctx context.Context, en *Enrolment, o *store.Order) error {
	if o.Key != nil {
		return nil
	}
	key, err := en.newKey(o)
	if err != nil {
		return err
	}
	o.Key = key
	err = e.Store.NoteOrderKey(context.WithoutCancel(ctx), o, e.claimEnd(en, 0))
	if errors.Is(err, store.ErrNoOrder) {
		return errTaken // or cancelled: nothing was sent
	}
	return err
}

// usable returns an order with the key itself where that is in a token.
func (e *Enroller) usable(o *store.Order) (store.Order, error) {
	order := *o
	held, ok := o.Key.(*certs.TokenKey)
	if !ok {
		return order, nil
	}
	if e.TokenKey == nil {
		return order, errNoTokens
	}
	key, err := e.TokenKey(held)
	order.Key = key
	return order, err
}
