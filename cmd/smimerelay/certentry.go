package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// storedCertificate is what --json prints of a certificate in the store.
type storedCertificate struct {
	SHA256           string       `json:"sha256"`
	Subject          string       `json:"subject"`
	Issuer           string       `json:"issuer"`
	Serial           string       `json:"serial"` // lower-case hexadecimal
	Addresses        []string     `json:"addresses"`
	NotBefore        time.Time    `json:"not_before"`
	NotAfter         time.Time    `json:"not_after"`
	Origin           store.Origin `json:"origin"`
	HasKey           bool         `json:"has_key"`
	Pinned           bool         `json:"pinned"`
	FirstSeen        time.Time    `json:"first_seen"`
	LastSeen         time.Time    `json:"last_seen"`
	Ciphers          []cms.Cipher `json:"ciphers,omitempty"`
	Result           certs.Result `json:"result,omitempty"`
	Reason           certs.Reason `json:"reason,omitempty"`
	JudgedAt         time.Time    `json:"judged_at,omitzero"`
	Mark             store.Mark   `json:"mark,omitempty"`
	Note             string       `json:"note,omitempty"`
	Until            time.Time    `json:"until,omitzero"`
	RevokedAt        time.Time    `json:"revoked_at,omitzero"`
	RevocationReason int          `json:"revocation_reason,omitempty"`
}

func describeEntry(e store.Entry) storedCertificate {
	c := e.Certificate
	return storedCertificate{
		SHA256: hex.EncodeToString(e.Fingerprint[:]), Subject: pkix.SubjectString(c), Issuer: pkix.IssuerString(c),
		Serial: hex.EncodeToString(c.SerialNumber.Bytes()), Addresses: texts(e.Addresses),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		Origin: e.Origin, HasKey: e.HasKey, Pinned: e.Pinned, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen,
		Ciphers: e.Ciphers, Result: e.Result, Reason: e.Reason, JudgedAt: e.JudgedAt,
		Mark: e.Mark, Note: e.Note, Until: e.Until, RevokedAt: e.RevokedAt, RevocationReason: e.RevocationReason,
	}
}

func texts(list []address.Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}

// errNotInStore is a fingerprint that leads nowhere.
var errNotInStore = errors.New("no such certificate in the store; see smimerelay cert list")

// pick returns the one entry whose fingerprint begins with what the user wrote.
func pick(ctx context.Context, s *store.Store, text string) (store.Entry, error) {
	found, err := s.Find(ctx, store.Query{Prefix: text, Limit: 2, Chain: true})
	switch {
	case !isFingerprint(text):
		return store.Entry{}, unusable(fmt.Errorf("%q is not a SHA-256 fingerprint or the start of one; use the hexadecimal digits that smimerelay cert list prints", text))
	case err != nil:
		return store.Entry{}, err
	case len(found) == 0:
		return store.Entry{}, negative(fmt.Errorf("%s: %w", text, errNotInStore))
	case len(found) > 1:
		return store.Entry{}, unusable(fmt.Errorf("%s matches several fingerprints, such as %x and %x; use more digits",
			text, found[0].Fingerprint, found[1].Fingerprint))
	}
	return found[0], nil
}

// isFingerprint reports whether text can be the beginning of a fingerprint.
func isFingerprint(text string) bool {
	digits := strings.NewReplacer(":", "", " ", "").Replace(text)
	_, err := hex.DecodeString(digits + strings.Repeat("0", len(digits)%2))
	return err == nil && digits != "" && len(digits) <= 2*sha256.Size
}

// name is how a certificate is called in one line: its beginning and its subject
// or addresses.
func name(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	who := pkix.SubjectString(c)
	if list := certs.Addresses(c); len(list) > 0 {
		who = strings.Join(texts(list), ", ")
	}
	return fmt.Sprintf("%x (%s)", sum[:8], who)
}

// span is a duration that may be given in days.
type span time.Duration

// UnmarshalText reads "12h" and "30d".
func (s *span) UnmarshalText(text []byte) error {
	d, err := config.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%w; write a number with a unit, such as "12h" or "30d"`, err)
	}
	*s = span(d)
	return nil
}

// wholeFingerprint reads all 64 digits.
func wholeFingerprint(text string) ([]byte, error) {
	sum, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(text))
	if err != nil || len(sum) != sha256.Size {
		return nil, fmt.Errorf("%q is not a SHA-256 fingerprint of 64 digits", text)
	}
	return sum, nil
}
