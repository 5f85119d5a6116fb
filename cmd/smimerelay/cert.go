package main

import (
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certCmd struct {
	Import   certImportCmd   `cmd:"" help:"Import identities and certificates into the store."`
	Export   certExportCmd   `cmd:"" help:"Export a certificate or an identity from the store to a file."`
	List     certListCmd     `cmd:"" help:"List the certificates in the store."`
	Show     certShowCmd     `cmd:"" help:"Show the details of a certificate."`
	Remove   certRemoveCmd   `cmd:"" help:"Remove certificates and their private keys from the store."`
	Allow    certAllowCmd    `cmd:"" help:"Trust a certificate regardless of its issuer."`
	Block    certBlockCmd    `cmd:"" help:"Block a certificate and all certificates below it."`
	Clear    certClearCmd    `cmd:"" help:"Remove the override that cert allow or cert block set."`
	Pin      certPinCmd      `cmd:"" help:"Sign with this identity even if a newer one exists."`
	Unpin    certUnpinCmd    `cmd:"" help:"Undo cert pin."`
	Expiring certExpiringCmd `cmd:"" help:"List identities that expire soon."`
	Issue    certIssueCmd    `cmd:"" help:"Issue certificates for addresses with the built-in CA."`
	Revoke   certRevokeCmd   `cmd:"" help:"Revoke certificates that the built-in CA issued."`
	Check    certCheckCmd    `cmd:"" help:"Check whether a certificate can be used now, and if not, why."`
	Lookup   certLookupCmd   `cmd:"" help:"Look up the certificates of an address as the gateway does."`
	Zone     certZoneCmd     `cmd:"" help:"Print SMIMEA records with the certificates of local addresses."`
}

type certCheckCmd struct {
	trustFlags
	Purpose string `required:"" enum:"sign,encrypt" placeholder:"sign|encrypt" help:"Intended use: sign, encrypt."`
	Address string `placeholder:"ADDR" help:"The address that the certificate must name."`
	JSON    bool   `name:"json" help:"Print the verdict as JSON."`
	Cert    string `arg:"" help:"File with the certificate (PEM, DER, .p7b); further certificates in it are used to build the chain."`
}

// Help is shown below the summary.
func (certCheckCmd) Help() string {
	return `Checks the first certificate in the file as the gateway does before it encrypts to a certificate or accepts a signature: certification path, validity, key, purpose, address and revocation. The reason is one of the words in docs/reasons.md.

Exit status: 0 pass, 1 not usable, 2 usage error or invalid input.`
}

func (certCheckCmd) examples() string {
	return `smimerelay cert check --purpose encrypt --address bob@example.net --trust ca.pem bob.pem
		smimerelay cert check --purpose encrypt --config /etc/smimerelay/config.toml bob.pem
		smimerelay cert check --purpose sign --trust roots/ --crl ca.crl --revocation require --json alice.cer`
}

// certVerdict is what --json prints.
type certVerdict struct {
	Result     certs.Result `json:"result"`
	Reason     certs.Reason `json:"reason"`
	Chain      []string     `json:"chain"`
	Revocation string       `json:"revocation"`
}

// Run judges the first certificate of a file.
func (c *certCheckCmd) Run(a *app) error {
	found, err := a.readFirst("CERT", c.Cert)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return unusable(fmt.Errorf("%s: contains no certificate; use PEM, DER or .p7b", c.Cert))
	}
	validator, err := c.validator(a)
	if err != nil {
		return err
	}
	r := certs.Request{
		Purpose: certs.Purpose(c.Purpose), Intermediates: found[1:],
		Revocation: c.mode(), At: c.At,
	}
	if c.Address != "" {
		addr, err := address.Parse(c.Address)
		if err != nil {
			return unusable(fmt.Errorf("--address: %w; write local@domain", err))
		}
		r.Addresses = []address.Address{addr}
	}
	v := validator.Check(background(), found[0], r)
	if err := c.print(a, v); err != nil {
		return err
	}
	if v.Result != certs.Pass {
		return &statusError{status: exitNegative}
	}
	return nil
}

func (c *certCheckCmd) print(a *app, v certs.Verdict) error {
	out := certVerdict{Result: v.Result, Reason: v.Reason, Chain: []string{}, Revocation: v.Revocation}
	for _, cert := range v.Chain {
		out.Chain = append(out.Chain, pkix.SubjectString(cert))
	}
	if c.JSON {
		return a.printJSON(out)
	}
	p := a.page()
	p.line("result: %s%s", out.Result, because(string(out.Reason)))
	if v.Detail != "" {
		p.line("detail: %s", v.Detail)
	}
	p.line("chain: %s", v.ChainState)
	for i, subject := range out.Chain {
		p.line("  %d %s", i, subject)
	}
	p.line("revocation: %s", out.Revocation)
	return p.err
}
