package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/smime/address"
)

type enrolInviteCmd struct {
	authorityFlags
	Days    int    `default:"7" placeholder:"N" help:"Days for which the secret can be used."`
	Address string `arg:"" name:"address" help:"An address in the local domains."`
}

// Help is shown below the summary.
func (enrolInviteCmd) Help() string {
	return `Prints a one-time secret. A client that has its own key uses it to get one certificate from the built-in CA: by EST ([est] in the configuration), with the address as user name and the secret as password, or by SCEP (est.scep_address), with the secret as challenge password. The secret is valid for one key; the same request can be repeated. Only a digest of the secret is stored. Renewals are authenticated by the certificate.`
}

func (enrolInviteCmd) examples() string {
	return `smimerelay enrol invite alice@example.com
		curl --user alice@example.com:SECRET --data @request.b64 --header "Content-Type: application/pkcs10" https://gw.example.com/.well-known/est/simpleenroll`
}

// Run makes a secret.
func (c *enrolInviteCmd) Run(a *app) error {
	addr, err := address.Parse(c.Address)
	if err != nil {
		return unusable(fmt.Errorf("%w; write local@domain", err))
	}
	if c.Days < 1 || c.Days > 365 {
		return unusable(errors.New("--days: give a number from 1 to 365"))
	}
	return c.with(a, func(ctx context.Context, o *authorities) error {
		if err := o.Local(addr); err != nil {
			return unusable(err)
		}
		if err := o.Issuing.Check(ca.Request{Address: addr}); err != nil {
			return negative(err)
		}
		secret := rand.Text()
		until := a.clock().Add(time.Duration(c.Days) * 24 * time.Hour)
		if err := o.store.PutInvitation(ctx, secret, addr, until); err != nil {
			return err
		}
		p := a.page()
		p.line("%s", secret)
		a.say("for %s until %s", addr, until.UTC().Format(time.RFC3339))
		return p.err
	})
}
