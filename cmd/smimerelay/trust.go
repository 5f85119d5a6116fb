package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/publicroots"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

type trustCmd struct {
	List   trustListCmd   `cmd:"" help:"List the public authorities."`
	Show   trustShowCmd   `cmd:"" help:"Show one public authority."`
	Update trustUpdateCmd `cmd:"" help:"Make a list of public authorities from a newer certdata.txt of NSS."`
}

// publicFlags say which list.
type publicFlags struct {
	File string `placeholder:"FILE" help:"A list made by trust update (default: the built-in list)."`
}

func (f *publicFlags) open() (*publicroots.List, error) {
	if f.File == "" {
		return publicroots.Mozilla()
	}
	data, err := os.ReadFile(f.File)
	if err != nil {
		return nil, unusable(err)
	}
	l, err := publicroots.Read(data)
	if err != nil {
		return nil, unusable(fmt.Errorf("%s: %w", f.File, err))
	}
	return l, nil
}

type trustListCmd struct {
	publicFlags
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// Help is shown below the summary.
func (trustListCmd) Help() string {
	return `These are the authorities that Mozilla trusts to issue certificates for mail. The gateway uses them as trust anchors if trust.public is set. For some, only certificates issued up to a date are trusted.`
}

func (trustListCmd) examples() string { return `smimerelay trust list` }

// publicEntry is what --json prints of one authority.
type publicEntry struct {
	SHA256        string     `json:"sha256"`
	Subject       string     `json:"subject"`
	NotAfter      time.Time  `json:"not_after"`
	DistrustAfter *time.Time `json:"distrust_after,omitempty"`
}

// publicList is what --json prints.
type publicList struct {
	Source      string        `json:"source"`
	Date        string        `json:"date"`
	SHA256      string        `json:"sha256"`
	Authorities []publicEntry `json:"authorities"`
}

func newPublicEntry(r publicroots.Root) publicEntry {
	sum := sha256.Sum256(r.Certificate.Raw)
	e := publicEntry{SHA256: hex.EncodeToString(sum[:]), Subject: pkix.SubjectString(r.Certificate), NotAfter: r.Certificate.NotAfter.UTC()}
	if !r.DistrustAfter.IsZero() {
		e.DistrustAfter = &r.DistrustAfter
	}
	return e
}

// Run prints the list.
func (c *trustListCmd) Run(a *app) error {
	l, err := c.open()
	if err != nil {
		return err
	}
	list := publicList{Source: l.Source, Date: l.Date.Format(time.DateOnly), SHA256: hex.EncodeToString(l.SHA256[:])}
	for _, r := range l.Roots {
		list.Authorities = append(list.Authorities, newPublicEntry(r))
	}
	if c.JSON {
		return a.printJSON(list)
	}
	p := a.page()
	for _, e := range list.Authorities {
		p.publicAuthority(e)
	}
	p.line("%d authorities, of %s, dated %s, sha256 %s", len(list.Authorities), list.Source, list.Date, list.SHA256)
	return p.err
}

// publicAuthority writes a public authority on one line.
func (p *page) publicAuthority(e publicEntry) {
	until := ""
	if e.DistrustAfter != nil {
		until = ", certificates issued up to " + e.DistrustAfter.Format(time.DateOnly)
	}
	p.line("%s  until %s  %s%s", e.SHA256[:16], e.NotAfter.Format(time.DateOnly), e.Subject, until)
}

type trustShowCmd struct {
	publicFlags
	Fingerprint string `arg:"" name:"sha256" help:"SHA-256 fingerprint, or its first digits."`
}

func (trustShowCmd) examples() string { return `smimerelay trust show ebd41040` }

// Run prints an authority with its certificate.
func (c *trustShowCmd) Run(a *app) error {
	l, err := c.open()
	if err != nil {
		return err
	}
	wanted := strings.ToLower(strings.ReplaceAll(c.Fingerprint, ":", ""))
	p := a.page()
	for _, r := range l.Roots {
		if e := newPublicEntry(r); len(wanted) >= 8 && strings.HasPrefix(e.SHA256, wanted) {
			if p.publicAuthority(e); p.err != nil {
				return p.err
			}
			_, err := a.stdout.Write(file.EncodeCertificates([]*x509.Certificate{r.Certificate}))
			return err
		}
	}
	return negative(fmt.Errorf("no public authority has a fingerprint that begins with %q; give at least 8 digits, from smimerelay trust list", c.Fingerprint))
}

type trustUpdateCmd struct {
	From   string    `required:"" placeholder:"FILE" help:"certdata.txt of NSS, such as mozilla/certdata.txt in the source package ca-certificates of Debian."`
	Output string    `required:"" placeholder:"FILE" help:"The list to write; name it in trust.public."`
	Source string    `default:"certdata.txt" placeholder:"TEXT" help:"What the file is and of which version, for the list."`
	Date   time.Time `format:"2006-01-02" placeholder:"DATE" help:"When the file was published (default today)."`
}

// Help is shown below the summary.
func (trustUpdateCmd) Help() string {
	return `The list contains the certificates that the file trusts to issue certificates for mail, with the dates after which they are distrusted. Nothing is fetched: get the file from a source that you trust.`
}

func (trustUpdateCmd) examples() string {
	return `smimerelay trust update --from certdata.txt --source "NSS 3.120" --output /etc/smimerelay/public.pem`
}

// Run writes the list.
func (c *trustUpdateCmd) Run(a *app) error {
	data, err := os.ReadFile(c.From)
	if err != nil {
		return unusable(err)
	}
	date := c.Date
	if date.IsZero() {
		date = a.clock()
	}
	l, err := publicroots.Parse(data, c.Source, date)
	if err != nil {
		return unusable(fmt.Errorf("%s: %w", c.From, err))
	}
	var b bytes.Buffer
	if err := l.Write(&b); err != nil {
		return err
	}
	if err := os.WriteFile(c.Output, b.Bytes(), 0o644); err != nil { //nolint:gosec // G306: certificates are public
		return unusable(err)
	}
	p := a.page()
	p.line("%d authorities written to %s", len(l.Roots), c.Output)
	return p.err
}
