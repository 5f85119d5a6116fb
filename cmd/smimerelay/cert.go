package main

import (
	"fmt"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

type certCmd struct {
	Import   certImportCmd   `cmd:"" help:"Take identities and certificates into the store."`
	Export   certExportCmd   `cmd:"" help:"Write a certificate of the store, or an identity, to a file."`
	List     certListCmd     `cmd:"" help:"List what is in the store."`
	Show     certShowCmd     `cmd:"" help:"Show all about a certificate."`
	Remove   certRemoveCmd   `cmd:"" help:"Take certificates out of the store, with their keys."`
	Allow    certAllowCmd    `cmd:"" help:"Believe a certificate whoever issued it."`
	Block    certBlockCmd    `cmd:"" help:"Refuse a certificate and everything below it."`
	Unmark   certUnmarkCmd   `cmd:"" help:"Take back cert allow and cert block."`
	Pin      certPinCmd      `cmd:"" help:"Have an identity sign though there is a younger one."`
	Unpin    certUnpinCmd    `cmd:"" help:"Take back cert pin."`
	Expiring certExpiringCmd `cmd:"" help:"List our identities that end soon."`
	Issue    certIssueCmd    `cmd:"" help:"Have the built-in authority issue certificates for addresses."`
	Revoke   certRevokeCmd   `cmd:"" help:"Take back certificates that the built-in authority issued."`
	Check    certCheckCmd    `cmd:"" help:"Say whether a certificate may be used now, and why not."`
	Lookup   certLookupCmd   `cmd:"" help:"Look the certificates of an address up as the gateway would."`
}

type certCheckCmd struct {
	trustFlags
	Purpose string `required:"" enum:"sign,encrypt" placeholder:"sign|encrypt" help:"What for: sign, encrypt."`
	Address string `placeholder:"ADDR" help:"The address that the certificate must name."`
	JSON    bool   `name:"json" help:"Print the verdict as JSON."`
	Cert    string `arg:"" help:"File with the certificate (PEM, DER, .p7b); further ones in it help to build its chain."`
}

// Help is shown below the summary.
func (certCheckCmd) Help() string {
	return `Judges the first certificate in the file as the gateway does before it encrypts to it or believes its signature: path, validity, key, purpose, address, revocation. The reason is one of the words in docs/reasons.md.

Exit status: 0 pass, 1 not usable, 2 the call or the input could not be used.`
}

func (certCheckCmd) examples() string {
	return `smimerelay cert check --purpose encrypt --address bob@example.net --trust ca.pem bob.pem
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
	found, err := readCertificates("CERT", []string{c.Cert})
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return unusable(fmt.Errorf("%s: no certificate in it; give PEM, DER or .p7b", c.Cert))
	}
	validator, err := c.validator(a)
	if err != nil {
		return err
	}
	r := certs.Request{
		Purpose: certs.Purpose(c.Purpose), Intermediates: found[1:],
		Revocation: certs.RevocationMode(c.Revocation), At: c.At,
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
