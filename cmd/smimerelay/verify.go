package main

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/path"
	"github.com/smimerelay/smimerelay/smime"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

type verifyCmd struct {
	trustFlags
	Identity     []string `sep:"none" placeholder:"FILE" help:"Decrypt the message with the identity in FILE first. Repeatable."`
	PasswordFile string   `placeholder:"FILE" help:"File with the password of the identities."`
	AllowWeak    bool     `help:"Also decrypt 3DES and RC2, and mail to RSA keys of 1024 bits and more."`
	AllowBare    bool     `name:"allow-no-attributes" help:"Accept signatures without signed attributes."`
	JSON         bool     `name:"json" help:"Print the report as JSON."`
	Message      string   `arg:"" optional:"" help:"File with the message (default: standard input, or -)."`
}

// Help is shown below the summary.
func (verifyCmd) Help() string {
	return `Prints the result for the message and for each signer with the result names of RFC 8601: pass only if a signature covers the whole message, its chain leads to a --trust certificate, it is not revoked, and the certificate names the address in From. Use --identity to decrypt encrypted messages first.

Exit status: 0 pass, 1 not valid, 2 usage error or invalid input, 3 the message is not signed.`
}

func (verifyCmd) examples() string {
	return `smimerelay verify --trust ca.pem message.eml
		smimerelay verify --config /etc/smimerelay/config.toml message.eml
		smimerelay verify --trust roots/ --crl ca.crl --revocation require --json < message.eml`
}

// Run verifies one message and prints the report.
func (c *verifyCmd) Run(a *app) error {
	m, err := a.readLarge(c.Message)
	if err != nil {
		return err
	}
	defer m.Close()
	validator, err := c.validator(a)
	if err != nil {
		return err
	}
	o := smime.OpenOptions{
		Checker: validator, Revocation: c.mode(), At: c.At, Signers: heldBy(validator),
		AllowWeak: c.AllowWeak, AllowSHA1: c.AllowSHA1, AllowRSA1024: c.AllowRSA1024, AllowBare: c.AllowBare,
	}
	if len(c.Identity) > 0 {
		ids, err := readIdentities(c.Identity, c.PasswordFile)
		if err != nil {
			return err
		}
		o.Keys = certs.NewKeys(a.clock, ids...)
	}
	opened, err := m.open(c.Message, o)
	if err != nil {
		return err
	}
	report := opened.Report
	p := a.page()
	if c.JSON {
		p.err = a.printJSON(report)
	} else {
		printReport(p, report)
	}
	if p.err != nil {
		return p.err
	}
	return verifyStatus(report)
}

// heldBy looks up signers' certificates among those of --trust and --intermediate.
func heldBy(v *path.Validator) smime.SignerLookup {
	return func(_ context.Context, signer cms.ID, _ address.Address) ([]*x509.Certificate, error) {
		return v.Held(signer), nil
	}
}

// verifyStatus is 0 for pass, 3 for a message without a signature, else 1.
func verifyStatus(r smime.Report) error {
	switch {
	case r.Result == certs.Pass:
		return nil
	case r.Result == certs.None && len(r.Signers) == 0:
		return &statusError{status: exitUnsigned}
	}
	return &statusError{status: exitNegative}
}

// printReport writes a report for people.
func printReport(p *page, r smime.Report) {
	p.line("result: %s%s", r.Result, because(string(r.Reason)))
	if r.Detail != "" {
		p.line("detail: %s", r.Detail)
	}
	if len(r.Layers) > 0 {
		p.line("layers: %s", strings.Join(r.Layers, " > "))
	}
	if e := r.Encryption; e != nil {
		cipher := e.Cipher
		if e.DerivedKey {
			cipher += " (RFC 9709)"
		}
		p.line("encryption: %s, authenticated: %s, recipients: %d", cipher, yesNo(e.Authenticated), e.Recipients)
	}
	for _, s := range r.Signers {
		p.line("signer: %s%s", s.Result, because(string(s.Reason)))
		row := func(name, value string) {
			if value != "" {
				p.line("  %-13s %s", name+":", value)
			}
		}
		if s.Detail != r.Detail {
			row("detail", s.Detail)
		}
		row("addresses", strings.Join(s.Addresses, ", "))
		row("subject", s.Subject)
		row("issuer", s.Issuer)
		row("serial", s.Serial)
		row("sha256", s.SHA256)
		if s.SigningTime != nil {
			row("signing time", s.SigningTime.UTC().Format(time.RFC3339)+" (as the signer says)")
		}
		row("algorithms", strings.Trim(string(s.Signature)+" with "+s.Digest, " "))
		row("chain", s.Chain)
		row("revocation", s.Revocation)
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
