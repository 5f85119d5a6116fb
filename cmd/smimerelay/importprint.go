package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/intake"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// jsonImport prints an object a line, and each at once.
type jsonImport struct{ *json.Encoder }

func (p jsonImport) outcome(o intake.Outcome) error { return p.Encode(o) }

func (jsonImport) end(intake.Summary) error { return nil }

// lineImport prints a line a file.
type lineImport struct {
	w       io.Writer
	verdict func(*x509.Certificate) string
}

func (p lineImport) outcome(o intake.Outcome) error {
	text := fmt.Sprintf("%d identities, %d certificates", o.Identities, o.Certificates)
	if o.Result == intake.Refused {
		text = o.Reason
	}
	out := page{w: p.w}
	out.line("%-7s %s: %s", o.Result, o.File, text)
	for _, c := range o.Leaves {
		who := strings.Join(describe.Texts(certs.Addresses(c)), ", ")
		if who == "" {
			who = pkix.SubjectString(c)
		}
		out.line("        %s  %s  until %s", who, p.verdict(c), c.NotAfter.UTC().Format(time.DateOnly))
	}
	for _, s := range o.Skipped {
		out.line("warning %s: %s", o.File, s)
	}
	return out.err
}

func (p lineImport) end(s intake.Summary) error {
	out := page{w: p.w}
	out.line("files: %d added, %d already known, %d refused; %d new identities and certificates",
		s.Added, s.Known, s.Refused, s.New)
	return out.err
}

// barImport shows a bar, and lines only of the files that were refused or have
// something in them that could not be read.
type barImport struct {
	lineImport
	bar *bar
}

func (p *barImport) outcome(o intake.Outcome) error {
	if o.Result == intake.Refused || len(o.Skipped) > 0 {
		p.bar.clear()
		if err := p.lineImport.outcome(o); err != nil {
			return err
		}
	}
	return p.bar.step()
}

func (p *barImport) end(s intake.Summary) error {
	p.bar.clear()
	return p.lineImport.end(s)
}
