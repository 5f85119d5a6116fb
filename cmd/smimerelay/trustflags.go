package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/certs/revocation"
	"github.com/smimerelay/smimerelay/service"
)

// trustFlags are the flags of the verbs that judge certificates.
type trustFlags struct {
	Config       string    `placeholder:"FILE" help:"Trust what this configuration of a gateway trusts, its store included, instead of the flags below."`
	Trust        []string  `sep:"none" placeholder:"FILE" help:"Trust the certificates in FILE (PEM, DER, .p7b, or a folder of these). Repeatable."`
	Intermediate []string  `sep:"none" placeholder:"FILE" help:"Use the certificates in FILE to build chains, and as signer certificates that are missing from the message. Repeatable."`
	CRL          []string  `name:"crl" sep:"none" placeholder:"FILE" help:"Use the CRLs in FILE. Repeatable."`
	Revocation   string    `enum:",${revocation}" default:"" placeholder:"MODE" help:"If the revocation status is unknown: refuse (require) or accept (prefer); off does not check (default: prefer, or that of --config)."`
	Fetch        bool      `help:"Fetch from the CRL, OCSP and issuer URLs in certificates, except in private networks."`
	Policy       []string  `sep:"none" placeholder:"OID" help:"An acceptable certificate policy if the path must have one (default: any). Repeatable."`
	NeedPolicy   bool      `name:"require-policy" help:"Require a certificate policy that is valid for the whole path."`
	NoMapping    bool      `name:"inhibit-policy-mapping" help:"Forbid policy mapping."`
	NoAnyPolicy  bool      `name:"inhibit-any-policy" help:"Do not accept anyPolicy."`
	AllowSHA1    bool      `name:"allow-sha1" help:"Accept SHA-1 signatures, for archived mail."`
	AllowRSA1024 bool      `name:"allow-rsa1024" help:"Accept RSA keys of 1024 bits and more, for archived mail."`
	At           time.Time `placeholder:"RFC3339" help:"Check as of this time instead of now, such as 2026-01-02T03:04:05Z."`
}

// configured is the validator of a gateway. The command ends before it would be closed.
func (f *trustFlags) configured(a *app) (*path.Validator, error) {
	if len(f.Trust)+len(f.Intermediate)+len(f.CRL)+len(f.Policy) > 0 || f.Fetch || f.NeedPolicy || f.NoMapping || f.NoAnyPolicy {
		return nil, unusable(errors.New("--config: cannot be combined with other flags about trust; omit them, or omit it"))
	}
	parts, problems := service.Load(f.Config, a.clock, slog.New(slog.DiscardHandler))
	if len(problems) > 0 {
		return nil, problems
	}
	return parts.Validator, nil
}

// mode is the revocation mode of a request.
func (f *trustFlags) mode() certs.RevocationMode {
	if f.Revocation == "" && f.Config == "" {
		return certs.RevocationPrefer
	}
	return certs.RevocationMode(f.Revocation)
}

// validator builds what judges certificates. The command ends before anybody
// would have to close what it fetches with.
func (f *trustFlags) validator(a *app) (*path.Validator, error) {
	if f.Config != "" {
		return f.configured(a)
	}
	anchors, err := a.readSome("--trust", f.Trust)
	if err != nil {
		return nil, err
	}
	intermediates, err := a.readSome("--intermediate", f.Intermediate)
	if err != nil {
		return nil, err
	}
	c := path.Config{
		Anchors: anchors, Intermediates: intermediates,
		Revocation: f.mode(), Clock: a.clock,
		RequirePolicy: f.NeedPolicy, InhibitPolicyMapping: f.NoMapping, InhibitAnyPolicy: f.NoAnyPolicy,
		AllowSHA1: f.AllowSHA1, AllowRSA1024: f.AllowRSA1024,
	}
	if c.Policies, err = path.ParsePolicies(f.Policy); err != nil {
		return nil, unusable(fmt.Errorf("--policy: %w; use object identifiers such as 1.3.6.1.4.1.99999.1", err))
	}
	for _, path := range f.CRL {
		found, err := file.OpenLists(path, "")
		skipped, err := file.Skipped(err)
		if err != nil {
			return nil, badFile("--crl", err)
		}
		for _, s := range skipped {
			a.say("warning: --crl: %s", s)
		}
		c.Lists = append(c.Lists, found...)
	}
	if f.Fetch {
		if c.Fetcher, err = revocation.NewFetcher(revocation.FetchConfig{Clock: a.clock}); err != nil {
			return nil, unusable(fmt.Errorf("--fetch: %w", err))
		}
		c.ParseIssuers = file.ParseCertificates
	}
	v, err := path.NewValidator(c)
	if err != nil {
		return nil, unusable(err)
	}
	return v, nil
}

// background is the context of the offline verbs: nothing cancels them but the
// end of the process.
func background() context.Context { return context.Background() }
