package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/smime/address"
)

// request certifies a key that was made elsewhere.
func (c *certIssueCmd) request(a *app, addresses []address.Address) error {
	if len(addresses) != 1 || c.Out != "" || c.Separate || c.Key != "" || c.Days != 0 || c.JSON {
		return unusable(errors.New("--csr: needs exactly one address, and none of --key, --days, --separate, --out, --json"))
	}
	csr, err := readCSR(c.CSR)
	if err != nil {
		return unusable(fmt.Errorf("--csr: %w", err))
	}
	return c.with(a, func(ctx context.Context, o *authorities) error {
		if err := o.Local(addresses[0]); err != nil {
			return unusable(err)
		}
		p, err := o.Requests()
		if err != nil {
			return negative(err)
		}
		cert, err := p.Certify(ctx, addresses[0], csr, nil)
		if err != nil {
			return negative(err)
		}
		_, err = a.stdout.Write(file.EncodeCertificates(append([]*x509.Certificate{cert}, o.Issuing.Intermediates()...)))
		return err
	})
}

// readCSR reads a request in PEM or DER.
func readCSR(path string) (*x509.CertificateRequest, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	csr, err := x509.ParseCertificateRequest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: is no PKCS #10 request: %w", path, err)
	}
	return csr, nil
}
