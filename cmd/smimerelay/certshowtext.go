package main

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	x509pkix "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// shownCertificate is what --json prints of one.
type shownCertificate struct {
	SHA256      string             `json:"sha256"`
	Subject     string             `json:"subject"`
	Issuer      string             `json:"issuer"`
	Serial      string             `json:"serial"` // lower-case hexadecimal
	Addresses   []string           `json:"addresses"`
	NotBefore   time.Time          `json:"not_before"`
	NotAfter    time.Time          `json:"not_after"`
	Key         string             `json:"key"`
	KeyUsage    []string           `json:"key_usage"`
	ExtKeyUsage []string           `json:"ext_key_usage"`
	Signing     shownUse           `json:"signing"`
	Encryption  shownUse           `json:"encryption"`
	Chain       []string           `json:"chain"`
	ChainState  string             `json:"chain_state"`
	Revocation  string             `json:"revocation"`
	Stored      *storedCertificate `json:"stored"` // null: it is not in the store
}

// shownUse is whether a certificate serves for a purpose now.
type shownUse struct {
	Result certs.Result `json:"result"`
	Reason certs.Reason `json:"reason"`
	Detail string       `json:"detail,omitempty"`
}

func (s *shown) forJSON() shownCertificate {
	c, v := s.certificate, s.verdict()
	out := shownCertificate{
		SHA256: fingerprintOf(c), Subject: pkix.SubjectString(c), Issuer: pkix.IssuerString(c),
		Serial: hex.EncodeToString(c.SerialNumber.Bytes()), Addresses: texts(certs.Addresses(c)),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Key: keyKind(c),
		KeyUsage: keyUsages(c), ExtKeyUsage: extKeyUsages(c),
		Signing: use(s.uses[certs.ForSigning]), Encryption: use(s.uses[certs.ForEncryption]),
		Chain: subjects(v.Chain), ChainState: v.ChainState, Revocation: v.Revocation,
	}
	if s.entry != nil {
		e := describeEntry(*s.entry)
		out.Stored = &e
	}
	return out
}

func use(v certs.Verdict) shownUse { return shownUse{v.Result, v.Reason, v.Detail} }

func subjects(chain []*x509.Certificate) []string {
	out := make([]string, len(chain))
	for i, c := range chain {
		out[i] = pkix.SubjectString(c)
	}
	return out
}

// certificate writes everything about one certificate.
func (p *page) certificate(s *shown, now time.Time) {
	c, v := s.certificate, s.verdict()
	row := func(name, text string) { p.line("  %-13s %s", name, text) }
	p.line("%s", fingerprintOf(c))
	row("subject", pkix.SubjectString(c))
	row("issuer", pkix.IssuerString(c))
	row("serial", hex.EncodeToString(c.SerialNumber.Bytes()))
	row("addresses", orNone(texts(certs.Addresses(c))))
	row("valid", validity(c, now))
	row("key", keyKind(c))
	row("key usage", limitedTo(c, oidKeyUsage, keyUsages(c)))
	row("purposes", limitedTo(c, oidExtKeyUsage, extKeyUsages(c)))
	row("signing", used(s.uses[certs.ForSigning]))
	row("encryption", used(s.uses[certs.ForEncryption]))
	row("chain", v.ChainState)
	for i, subject := range subjects(v.Chain) {
		row("", fmt.Sprintf("%d %s", i, subject))
	}
	row("revocation", v.Revocation)
	if s.entry == nil {
		row("store", "not in the store")
		return
	}
	p.stored(s.entry, row)
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

// keyKind names algorithm and size of the key.
func keyKind(c *x509.Certificate) string {
	switch k := pkix.PublicKey(c).(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", k.N.BitLen())
	case pkix.PSSKey:
		return fmt.Sprintf("RSA for PSS only, %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC, " + k.Curve.Params().Name
	case *pkix.BrainpoolKey:
		return "EC, " + k.Curve()
	case *ecdh.PublicKey:
		return "X25519"
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return pkix.KeyName(c)
}

// keyUsages names the bits of RFC 5280 section 4.2.1.3.
func keyUsages(c *x509.Certificate) []string {
	out := []string{}
	for i, word := range []string{
		"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
		"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
	} {
		if c.KeyUsage&(1<<i) != 0 {
			out = append(out, word)
		}
	}
	return out
}

// extKeyUsages names those of RFC 5280 section 4.2.1.12 that mail has to do with;
// others are object identifiers or their numbers in crypto/x509.
func extKeyUsages(c *x509.Certificate) []string {
	words := map[x509.ExtKeyUsage]string{
		x509.ExtKeyUsageAny: "anyExtendedKeyUsage", x509.ExtKeyUsageEmailProtection: "emailProtection",
		x509.ExtKeyUsageClientAuth: "clientAuth", x509.ExtKeyUsageServerAuth: "serverAuth",
		x509.ExtKeyUsageCodeSigning: "codeSigning", x509.ExtKeyUsageTimeStamping: "timeStamping",
		x509.ExtKeyUsageOCSPSigning: "OCSPSigning",
	}
	out := []string{}
	for _, u := range c.ExtKeyUsage {
		word, ok := words[u]
		if !ok {
			word = fmt.Sprintf("another (%d)", u)
		}
		out = append(out, word)
	}
	for _, id := range c.UnknownExtKeyUsage {
		out = append(out, id.String())
	}
	return out
}
