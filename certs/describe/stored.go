package describe

import (
	"encoding/hex"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// Stored is what the store knows of a certificate.
type Stored struct {
	SHA256           string       `json:"sha256"`
	Subject          string       `json:"subject"`
	Issuer           string       `json:"issuer"`
	Serial           string       `json:"serial"` // lower-case hexadecimal
	Addresses        []string     `json:"addresses"`
	NotBefore        time.Time    `json:"not_before"`
	NotAfter         time.Time    `json:"not_after"`
	Origin           store.Origin `json:"origin"`
	HasKey           bool         `json:"has_key"`
	Token            string       `json:"token,omitempty"` // that holds the key; "" if the store itself does
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
	// Actions are who imported, issued, revoked or marked it, where that was asked for.
	Actions []store.Action `json:"actions,omitempty"`
}

// Entry describes an entry of the store.
func Entry(e store.Entry) Stored {
	c := e.Certificate
	return Stored{
		SHA256: hex.EncodeToString(e.Fingerprint[:]), Subject: pkix.SubjectString(c), Issuer: pkix.IssuerString(c),
		Serial: hex.EncodeToString(c.SerialNumber.Bytes()), Addresses: Texts(e.Addresses),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		Origin: e.Origin, HasKey: e.HasKey, Token: e.Token, Pinned: e.Pinned, FirstSeen: e.FirstSeen, LastSeen: e.LastSeen,
		Ciphers: e.Ciphers, Result: e.Result, Reason: e.Reason, JudgedAt: e.JudgedAt,
		Mark: e.Mark, Note: e.Note, Until: e.Until, RevokedAt: e.RevokedAt, RevocationReason: e.RevocationReason,
	}
}

// Texts writes addresses.
func Texts(list []address.Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}
