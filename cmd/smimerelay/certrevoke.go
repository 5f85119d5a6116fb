package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/service"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certRevokeCmd struct {
	authorityFlags
	JSON   bool     `name:"json" help:"Print what was revoked as JSON."`
	Reason string   `enum:"${reasons}" default:"unspecified" placeholder:"REASON" help:"Why: ${reasonlist}."`
	What   []string `arg:"" name:"certificate" help:"SHA-256 fingerprint of a certificate that the CA issued, or the start of it; or an address, for all of its valid certificates."`
}

// Help is shown below the summary.
func (certRevokeCmd) Help() string {
	return `Revokes certificates permanently and publishes a new CRL at once. Partners reject them when they fetch the new CRL, at the latest after ca.crl_validity. The key is no longer used to sign, but still decrypts; remove it with cert remove. If a rule issues identities, the sender gets a new one with the next message, except after the reasons affiliation-changed, cessation and privilege-withdrawn.`
}

func (certRevokeCmd) examples() string {
	return `smimerelay cert revoke --reason cessation alice@example.com
		smimerelay cert revoke --reason key-compromise 3f2a91c07d`
}

// revoked is what --json prints of a certificate.
type revoked struct {
	Subject string `json:"subject"`
	SHA256  string `json:"sha256"`
	Serial  string `json:"serial"`
	Reason  string `json:"reason"`
}

// Run revokes, and publishes what it did also where something fails behind it.
func (c *certRevokeCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, o *authorities) error {
		list, err := c.find(ctx, o, a)
		if err != nil {
			return err
		}
		done := []revoked{}
		for _, cert := range list {
			if err = o.revoke(ctx, cert, ca.Reason(c.Reason)); err != nil {
				break
			}
			done = append(done, revoked{pkix.SubjectString(cert), fmt.Sprintf("%x", sha256.Sum256(cert.Raw)), fmt.Sprintf("%x", cert.SerialNumber), c.Reason})
			if !c.JSON {
				a.page().line("%s revoked", name(cert))
			}
		}
		if c.JSON {
			err = errors.Join(err, a.printJSON(done))
		}
		return errors.Join(err, o.publish(ctx, a))
	})
}

// find returns all that the arguments name before the first is revoked.
func (c *certRevokeCmd) find(ctx context.Context, o *authorities, a *app) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for _, text := range c.What {
		found, err := o.named(ctx, text, a)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	for _, cert := range list {
		if o.IssuerOf(cert) == nil {
			return nil, negative(fmt.Errorf("%s: %w", name(cert), service.ErrForeign))
		}
	}
	return list, nil
}

func (o *authorities) named(ctx context.Context, text string, a *app) ([]*x509.Certificate, error) {
	addr, err := address.Parse(text)
	if err != nil {
		e, err := pick(ctx, o.store, text)
		if err == nil && !e.RevokedAt.IsZero() {
			err = negative(fmt.Errorf("%s: was revoked on %s", name(e.Certificate), e.RevokedAt.Format("2006-01-02")))
		}
		return []*x509.Certificate{e.Certificate}, err
	}
	entries, err := o.store.Find(ctx, store.Query{Address: &addr, Origins: []store.Origin{store.Issued}})
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for _, e := range entries {
		if e.RevokedAt.IsZero() && a.clock().Before(e.Certificate.NotAfter) && o.IssuerOf(e.Certificate) != nil {
			list = append(list, e.Certificate)
		}
	}
	if len(list) == 0 {
		return nil, negative(fmt.Errorf("%s has no valid certificate from this CA; see smimerelay cert list %s", addr, addr))
	}
	return list, nil
}

func (o *authorities) revoke(ctx context.Context, cert *x509.Certificate, reason ca.Reason) error {
	err := o.Revoke(ctx, cert, reason)
	if errors.Is(err, service.ErrNotRecorded) {
		return negative(fmt.Errorf("%s: %w", name(cert), err))
	}
	return err
}
