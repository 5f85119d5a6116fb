package service

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/ca"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/enrol/builtin"
	"github.com/smimerelay/smimerelay/certs/enrol/command"
	"github.com/smimerelay/smimerelay/certs/enrol/est"
	"github.com/smimerelay/smimerelay/certs/enrol/folder"
	"github.com/smimerelay/smimerelay/certs/enrol/scep"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/certs/token"
	"github.com/smimerelay/smimerelay/enforce"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/relay/gateway"
	"github.com/smimerelay/smimerelay/smime/address"
)

// impliedEnrolment is the name of the table that [ca] stands for where there is none.
const impliedEnrolment = "ca"

// scepEnrolment is the name of the table that est.scep_address stands for, and scepKey the kind
// of its key: clients of SCEP know no other.
const (
	scepEnrolment = "[est]"
	scepKey       = "rsa3072"
)

// certifyTime bounds what the built-in CA takes for one certificate.
const certifyTime = time.Minute

// issuer makes what orders certificates; nil where the configuration orders none.
func (b *builder) issuer() gateway.Issuer {
	list := b.config.Enrolments
	if c := b.config.CA; c.URL != "" && !slices.ContainsFunc(list, func(e config.Enrolment) bool { return e.From == config.EnrolCA }) {
		list = append(slices.Clone(list), config.Enrolment{
			Name: impliedEnrolment, From: config.EnrolCA, KeyType: c.KeyType, SeparateKeys: c.SeparateKeys,
			RenewBefore: c.RenewBefore, MaxPerHour: c.MaxPerHour,
		})
	}
	if ra := b.config.EST.SCEP; ra != "" {
		// Before all others: it is for this address whatever they say of it.
		list = append([]config.Enrolment{{
			Name: scepEnrolment, From: config.EnrolCA, Addresses: []string{ra}, On: config.OnAlways, KeyType: scepKey,
			RenewBefore: b.config.CA.RenewBefore, MaxPerHour: b.config.CA.MaxPerHour,
		}}, list...)
	}
	if len(list) == 0 {
		return nil
	}
	authority := b.authority()
	var all []enrol.Enrolment
	for i := range list {
		if list[i].From == config.EnrolFolder {
			b.parts.folders = append(b.parts.folders, folder.New(folder.Config{
				Enrolment: list[i].Name, Path: list[i].Folder, PasswordFile: list[i].Password, Store: b.parts.store.Store, Log: b.log,
			}))
			continue
		}
		e, err := b.enrolment(&list[i], authority)
		if err != nil {
			b.complain(key("enrolment", i, ""), err.Error(), "correct the table")
			continue
		}
		all = append(all, e)
	}
	if len(b.problems) > 0 {
		return nil
	}
	tokens := b.parts.tokens
	b.parts.enroller = enrol.New(enrol.Config{
		Enrolments: all, Store: b.parts.store.Store, Keys: b.parts.Keys, InGroup: b.parts.Directory.InGroup,
		TokenKey: func(k *certs.TokenKey) (crypto.Signer, error) { return token.Find(k, tokens...) },
		Clock:    b.clock, Log: b.log,
	})
	return b.parts.enroller
}

// Enroller orders certificates; nil where the configuration orders none.
func (p *Parts) Enroller() *enrol.Enroller { return p.enroller }

// enrolment makes one table ready.
func (b *builder) enrolment(e *config.Enrolment, authority enrol.Provider) (enrol.Enrolment, error) {
	all := enrol.Enrolment{
		Name: e.Name, Groups: e.Groups, Key: e.KeyType, Separate: e.SeparateKeys,
		RenewBefore: e.RenewBefore, PerHour: e.MaxPerHour, Timeout: e.Timeout, Origin: store.Imported,
	}
	var err error
	if all.Token, err = b.tokenOf(e); err != nil {
		return all, err
	}
	patterns := e.Addresses
	if len(patterns) == 0 && len(e.Groups) == 0 {
		patterns = b.domains()
	}
	if len(patterns) > 0 {
		p, err := enforce.CompilePatterns(patterns)
		if err != nil {
			return all, err
		}
		all.Match = p.Match
	}
	if e.On == config.OnAlways {
		for _, text := range e.Addresses {
			a, err := address.Parse(text)
			if err != nil {
				return all, err
			}
			all.Always = append(all.Always, a)
		}
	}
	switch e.From {
	case config.EnrolACME:
		p, err := b.acme(e)
		if err != nil {
			return all, err
		}
		all.Provider = p
	case config.EnrolCA:
		all.Provider, all.Origin, all.Timeout = authority, store.Issued, certifyTime
	case config.EnrolCommand:
		all.Provider = &command.Provider{Argv: e.Command, Name: e.Name}
	case config.EnrolEST:
		client, err := est.NewClient(est.ClientConfig{
			URL: e.URL, CA: e.CA, ClientCertificate: e.ClientCert, ClientKey: e.ClientKey, User: e.User, PasswordFile: e.Password,
			ServerKey: e.ServerKey,
		})
		if err != nil {
			return all, err
		}
		all.Provider = client
	case config.EnrolSCEP:
		client, err := scep.NewClient(scep.ClientConfig{
			URL: e.URL, TLS: e.CA, Fingerprint: e.CAPrint, RAFingerprint: e.RAPrint, PasswordFile: e.Password, Clock: b.clock,
		})
		if err != nil {
			return all, err
		}
		all.Provider = client
	}
	return all, nil
}

// authority opens our authorities, where the configuration has some: a provider
// that says why it cannot where they cannot.
func (b *builder) authority() enrol.Provider {
	if b.config.CA.URL == "" {
		return noAuthority{ErrNoAuthorityURL}
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	a, err := OpenAuthorities(ctx, b.config, b.parts.store.Store, b.clock)
	switch {
	case errors.Is(err, ErrNoAuthority):
		return noAuthority{err}
	case err != nil:
		b.complain("ca", err.Error(), "check that the store and its key file belong together")
		return noAuthority{err}
	}
	b.parts.authorities = a
	if a.Spent != nil {
		return noAuthority{a.Spent}
	}
	return a.provider()
}

// provider is the authority that issues, as a provider of certificates.
func (a *Authorities) provider() *builtin.Provider {
	return &builtin.Provider{
		Authority: a.Issuing, Validity: a.config.CA.Validity, PerHour: a.config.CA.MaxPerHour,
		Former: a.former(), Store: a.store, Withheld: a.withheld, Local: a.own,
	}
}

// withheld says no to an address whose last certificate was revoked for a
// reason that a new one would not mend: an administrator has to decide.
func (a *Authorities) withheld(ctx context.Context, addr address.Address) error {
	found, err := a.store.Find(ctx, store.Query{Address: &addr, Origins: []store.Origin{store.Issued}, Limit: 1})
	if err != nil || len(found) == 0 || found[0].RevokedAt.IsZero() {
		return err
	}
	if reason := ca.ReasonOf(found[0].RevocationReason); reason.Final() {
		return fmt.Errorf("the certificate of %s was revoked (%s); to issue a new one, run: smimerelay cert issue %s", addr, reason, addr)
	}
	return nil
}

// Requests certifies keys that were made elsewhere.
func (a *Authorities) Requests() (*builtin.Provider, error) {
	if a.Spent != nil {
		return nil, a.Spent
	}
	return a.provider(), nil
}

// noAuthority issues nothing.
type noAuthority struct{ why error }

// Begin implements enrol.Provider.
func (n noAuthority) Begin(context.Context, *enrol.Order) (enrol.Answer, error) {
	return enrol.Answer{}, n.why
}

// Continue implements enrol.Provider.
func (n noAuthority) Continue(context.Context, *enrol.Order) (enrol.Answer, error) {
	return enrol.Answer{}, n.why
}

// Ready says why.
func (n noAuthority) Ready(context.Context, address.Address, int) error { return n.why }
