package main

import (
	"crypto/x509"
	x509pkix "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/describe"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// certificate writes everything about one certificate.
func (p *page) certificate(s *describe.Found, now time.Time) {
	c, v := s.Certificate, s.Verdict()
	row := func(name, text string) { p.line("  %-13s %s", name, text) }
	p.line("%s", describe.Fingerprint(c))
	row("subject", pkix.SubjectString(c))
	row("issuer", pkix.IssuerString(c))
	row("serial", hex.EncodeToString(c.SerialNumber.Bytes()))
	row("addresses", orNone(describe.Texts(certs.Addresses(c))))
	row("valid", validity(c, now))
	row("key", describe.KeyKind(c))
	row("key usage", limitedTo(c, oidKeyUsage, describe.KeyUsages(c)))
	row("purposes", limitedTo(c, oidExtKeyUsage, describe.ExtKeyUsages(c)))
	row("signing", used(s.Uses[certs.ForSigning]))
	row("encryption", used(s.Uses[certs.ForEncryption]))
	row("chain", v.ChainState)
	for i, subject := range describe.Subjects(v.Chain) {
		row("", fmt.Sprintf("%d %s", i, subject))
	}
	row("revocation", v.Revocation)
	if s.Entry == nil {
		row("store", "not in the store")
		return
	}
	p.stored(s.Entry, row)
	for _, action := range s.Actions {
		row(string(action.What), fmt.Sprintf("%s by %s%s", action.Time.Format(time.RFC3339), action.By, because(action.Note)))
	}
}

// stored writes what the store knows of a certificate.
func (p *page) stored(e *store.Entry, row func(name, text string)) {
	row("store", fmt.Sprintf("%s, first seen %s, last seen %s", e.Origin, e.FirstSeen.Format(time.RFC3339), e.LastSeen.Format(time.RFC3339)))
	row("private key", privateKey(e))
	if len(e.Ciphers) > 0 {
		words := make([]string, len(e.Ciphers))
		for i, cipher := range e.Ciphers {
			words[i] = string(cipher)
		}
		row("reads", strings.Join(words, ", "))
	}
	if e.Preferred != nil {
		row("prefers", "mail to this address is encrypted to another certificate")
	}
	if e.Result != "" {
		row("judged", fmt.Sprintf("%s%s on %s", e.Result, because(string(e.Reason)), e.JudgedAt.Format(time.RFC3339)))
	}
	if e.Mark != store.NoMark {
		row("mark", markText(e))
	}
	if !e.RevokedAt.IsZero() {
		row("revoked", fmt.Sprintf("by the built-in CA on %s, reason %d", e.RevokedAt.Format(time.RFC3339), e.RevocationReason))
	}
}

func privateKey(e *store.Entry) string {
	switch {
	case !e.HasKey:
		return "not in the store"
	case e.Origin == store.Authority:
		return "in the store, for issuing only"
	case e.Token != "" && e.Pinned:
		return fmt.Sprintf("in the token %q, pinned: used to sign before newer ones", e.Token)
	case e.Token != "":
		return fmt.Sprintf("in the token %q", e.Token)
	case e.Pinned:
		return "in the store, pinned: used to sign before newer ones"
	}
	return "in the store"
}

func markText(e *store.Entry) string {
	text := string(e.Mark)
	if !e.Until.IsZero() {
		text += " until " + e.Until.Format(time.DateOnly)
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	return text
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// The extensions that limit what a key is for (RFC 5280 sections 4.2.1.3 and
// 4.2.1.12).
var (
	oidKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// limitedTo lists what an extension allows; a certificate without it is not
// limited.
func limitedTo(c *x509.Certificate, extension asn1.ObjectIdentifier, words []string) string {
	if !slices.ContainsFunc(c.Extensions, func(e x509pkix.Extension) bool { return e.Id.Equal(extension) }) {
		return "not limited"
	}
	return orNone(words)
}

func validity(c *x509.Certificate, now time.Time) string {
	text := c.NotBefore.UTC().Format(time.RFC3339) + " to " + c.NotAfter.UTC().Format(time.RFC3339)
	days := func(d time.Duration) int { return int(d.Hours() / 24) }
	switch {
	case now.Before(c.NotBefore):
		return fmt.Sprintf("%s, valid in %d days", text, days(c.NotBefore.Sub(now)))
	case now.After(c.NotAfter):
		return fmt.Sprintf("%s, expired %d days ago", text, days(now.Sub(c.NotAfter)))
	}
	return fmt.Sprintf("%s, %d days left", text, days(c.NotAfter.Sub(now)))
}
