// Package command is the provider that runs a program for each step of an order: the
// contract of docs/enrolment.md. The program gets a request as JSON on its standard input
// and answers with certificates, in PEM or JSON, on its standard output.
package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
)

const (
	// maxOutput bounds what a program may say, in octets.
	maxOutput = 1 << 20
	// maxText bounds what is kept of its standard error.
	maxText = 300
	// exitRefused is the exit status of a refusal; any other but 0 is temporary.
	exitRefused = 1
	// killAfter is how long the output of a program is waited for that was killed.
	killAfter = 5 * time.Second
)

// Provider runs a program.
type Provider struct {
	// Argv is the program with its arguments.
	Argv []string
	// Name is the enrolment's, for the program.
	Name string
}

// request is what a program gets. Version 1 is the first; members are only added.
type request struct {
	Version   int    `json:"version"`
	Action    string `json:"action"` // begin, continue or revoke
	Enrolment string `json:"enrolment"`
	Order     string `json:"order,omitempty"`
	Address   string `json:"address,omitempty"`
	Purpose   string `json:"purpose,omitempty"` // both, sign or encrypt
	CSR       string `json:"csr,omitempty"`     // PEM
	// Reference is what the program last answered for the order.
	Reference string `json:"reference,omitempty"`
	// Cancelled: the order was cancelled; what was issued for it is wanted, to be revoked.
	Cancelled bool `json:"cancelled,omitempty"`
	// Current is the certificate that is replaced, and Certificate the one to revoke, in PEM.
	Current     string `json:"current,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	SHA256      string `json:"sha256,omitempty"` // of Certificate
}

// reply is what a program may answer instead of PEM.
type reply struct {
	Certificates []string `json:"certificates"` // PEM
	RetryAfter   int      `json:"retry_after"`  // seconds
	Reference    string   `json:"reference"`
}

// Begin implements enrol.Provider.
func (p *Provider) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	return p.order(ctx, "begin", o)
}

// Continue implements enrol.Provider.
func (p *Provider) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	return p.order(ctx, "continue", o)
}

// Revoke has the program revoke a certificate.
func (p *Provider) Revoke(ctx context.Context, c *x509.Certificate) error {
	_, err := p.run(ctx, request{Action: "revoke", Certificate: certificatePEM(c), SHA256: fmt.Sprintf("%x", sha256.Sum256(c.Raw))})
	return err
}

func (p *Provider) order(ctx context.Context, action string, o *enrol.Order) (enrol.Answer, error) {
	csr, err := o.CSR()
	if err != nil {
		return enrol.Answer{}, &enrol.Refusal{Cause: err}
	}
	r := request{
		Action: action, Order: o.ID, Address: o.Address.String(), Purpose: string(o.Purpose), Reference: string(o.Reference),
		Cancelled: o.State == store.OrderCancelled,
		CSR:       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
	}
	if o.Current != nil {
		r.Current = certificatePEM(o.Current.Certificate)
	}
	out, err := p.run(ctx, r)
	if err != nil {
		return enrol.Answer{}, err
	}
	return read(out)
}

func certificatePEM(c *x509.Certificate) string {
	return string(file.EncodeCertificates([]*x509.Certificate{c}))
}

// run runs the program once and returns what it said.
func (p *Provider) run(ctx context.Context, r request) ([]byte, error) {
	r.Version, r.Enrolment = 1, p.Name
	in, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, p.Argv[0], p.Argv[1:]...) //nolint:gosec // G204: the administrator's program
	cmd.Stdin = bytes.NewReader(append(in, '\n'))
	out, text := &bounded{most: maxOutput}, &bounded{most: maxText}
	cmd.Stdout, cmd.Stderr = out, text
	cmd.WaitDelay = killAfter
	err = cmd.Run()
	said := strings.Join(strings.Fields(printable.Clip(string(text.data), maxText)), " ")
	exit := new(exec.ExitError)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("command %q: did not end in time%s", p.Argv[0], after(said))
	case errors.As(err, &exit) && exit.ExitCode() == exitRefused:
		return nil, &enrol.Refusal{Cause: fmt.Errorf("command %q refused%s", p.Argv[0], after(said))}
	case err != nil:
		return nil, fmt.Errorf("command %q: %w%s", p.Argv[0], err, after(said))
	case out.over:
		return nil, fmt.Errorf("command %q: printed more than %d octets", p.Argv[0], maxOutput)
	}
	return out.data, nil
}

func after(said string) string {
	if said == "" {
		return ""
	}
	return ": " + said
}

// read reads an answer: a JSON object, or PEM. No output is "not yet".
func read(out []byte) (enrol.Answer, error) {
	out = bytes.TrimSpace(out)
	var r reply
	if len(out) > 0 && out[0] == '{' {
		d := json.NewDecoder(bytes.NewReader(out))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			return enrol.Answer{}, fmt.Errorf("answer of the command: %w", err)
		}
	} else if len(out) > 0 {
		r.Certificates = []string{string(out)}
	}
	a := enrol.Answer{After: time.Duration(max(r.RetryAfter, 0)) * time.Second}
	if r.Reference != "" {
		a.Reference = []byte(r.Reference)
	}
	for _, text := range r.Certificates {
		list, err := certificates([]byte(text))
		if err != nil {
			return enrol.Answer{}, fmt.Errorf("answer of the command: %w", err)
		}
		a.Certificates = append(a.Certificates, list...)
	}
	return a, nil
}

func certificates(text []byte) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a PEM block is %q, not CERTIFICATE", printable.Clip(block.Type, maxText))
		}
		c, err := pkix.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("is neither JSON nor a certificate in PEM")
	}
	return list, nil
}

// bounded keeps the first octets that are written to it.
type bounded struct {
	data []byte
	most int
	over bool
}

// Write never fails: a program is not killed for its talk.
func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), b.most-len(b.data))
	b.data = append(b.data, p[:room]...)
	b.over = b.over || room < len(p)
	return len(p), nil
}
