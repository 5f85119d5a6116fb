package dsn

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/message"
)

// Expiry is a notice that identities end soon.
type Expiry struct {
	// ID is unique to the notice, of letters and digits.
	ID string
	// Hostname is ours.
	Hostname string
	// From is the author, To is who is notified: the owner of the one identity, or,
	// where ToAdmin, an administrator, of all of them.
	From, To address.Address
	ToAdmin  bool
	Now      time.Time
	// Identities must not be empty; More is how many further ones there are.
	Identities []Expiring
	More       int
	// Texts are the words; nil is the built-in English.
	Texts *Texts
}

// Expiring is an identity that ends soon.
type Expiring struct {
	Addresses []address.Address
	// Subject, Issuer and Fingerprint tell it from others.
	Subject, Issuer, Fingerprint string
	Ends                         time.Time
}

// Names of the files with the words.
const (
	forOwner = "expiry-owner"
	forAdmin = "expiry-admin"
)

// expiryFacts are what the templates of notices of expiry are filled with.
type expiryFacts struct {
	Hostname   string
	To         string
	Identities []identityFacts
	More       int
}

// identityFacts are about one identity: Ends is a date, Days how many whole days
// are left.
type identityFacts struct {
	Addresses, Subject, Issuer, Fingerprint, Ends string
	Days                                          int
}

var errNothing = errors.New("expiry notice: no addressee, or no identities to report")

// BuildExpiry returns the notice as a message. The caller sends it with the null
// reverse-path, so that there is no automatic answer.
func BuildExpiry(e Expiry) (*message.Message, error) {
	if e.To.IsNull() || len(e.Identities) == 0 {
		return nil, errNothing
	}
	subject, text, html, err := e.words()
	if err != nil {
		return nil, fmt.Errorf("expiry notice: %w", err)
	}
	m, err := notice{ID: e.ID, Hostname: e.Hostname, From: e.From, To: e.To, Now: e.Now}.message(subject, text, html)
	if err != nil {
		return nil, fmt.Errorf("expiry notice: %w", err)
	}
	return m, nil
}

func (e *Expiry) words() (subject, text, html string, err error) {
	texts := e.Texts
	if texts == nil {
		if texts, err = ReadTexts("", nil); err != nil {
			return "", "", "", err
		}
	}
	f := expiryFacts{Hostname: clean(e.Hostname), To: clean(e.To.String()), More: e.More}
	for _, id := range e.Identities {
		f.Identities = append(f.Identities, id.facts(e.Now))
	}
	name := forOwner
	if e.ToAdmin {
		name = forAdmin
	}
	w := texts.named[name]
	return w.fill(f)
}

func (id *Expiring) facts(now time.Time) identityFacts {
	var names []string
	for _, a := range id.Addresses {
		names = append(names, clean(a.String()))
	}
	return identityFacts{
		Addresses: strings.Join(names, ", "),
		Subject:   clean(id.Subject), Issuer: clean(id.Issuer), Fingerprint: clean(id.Fingerprint),
		Ends: id.Ends.UTC().Format(time.DateOnly), Days: int(id.Ends.Sub(now).Hours() / 24),
	}
}
