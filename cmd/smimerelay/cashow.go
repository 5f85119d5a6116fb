package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

type caShowCmd struct {
	authorityFlags
	JSON bool `name:"json" help:"Print an array as JSON."`
}

func (caShowCmd) examples() string {
	return `smimerelay ca show
		smimerelay ca show --json | jq -r '.[] | select(.name == "root") | .sha256'`
}

// Run prints the authorities.
func (c *caShowCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, o *authorities) error { return o.print(ctx, a, c.JSON) })
}

// print tells of the authorities.
func (o *authorities) print(ctx context.Context, a *app, asJSON bool) error {
	list, err := o.Describe(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(list)
	}
	p := a.page()
	for _, s := range list {
		p.authority(s)
	}
	return p.err
}

type caExportCmd struct {
	authorityFlags
	DER     bool `name:"der" help:"Print DER instead of PEM."`
	Issuing bool `help:"Print the certificate of the issuing CA instead; every signed message contains it anyway."`
	JSON    bool `name:"json" help:"Print the certificate and its fingerprint as JSON."`
}

// Help is shown below the summary.
func (caExportCmd) Help() string {
	return `Prints the root certificate. Partners install it as a trust anchor for mail after comparing its fingerprint with one that they received over another channel, such as the telephone. The output does not contain a private key.`
}

func (caExportCmd) examples() string {
	return `smimerelay ca export > root.pem
		smimerelay ca export --der > root.cer`
}

// exported is what --json prints.
type exported struct {
	Subject string `json:"subject"`
	SHA256  string `json:"sha256"`
	PEM     string `json:"pem"`
}

// Run prints a certificate.
func (c *caExportCmd) Run(a *app) error {
	return c.with(a, func(_ context.Context, o *authorities) error {
		cert := o.anchor()
		if c.Issuing {
			cert = o.Issuing.Config.Certificate
		}
		text := file.EncodeCertificates([]*x509.Certificate{cert})
		var err error
		switch {
		case c.JSON:
			err = a.printJSON(exported{pkix.SubjectString(cert), fmt.Sprintf("%x", sha256.Sum256(cert.Raw)), string(text)})
		case c.DER:
			_, err = a.stdout.Write(cert.Raw)
		default:
			_, err = a.stdout.Write(text)
		}
		return err
	})
}
