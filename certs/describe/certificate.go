package describe

import (
	"crypto/x509"
	"encoding/hex"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Certificate is everything that is known of one.
type Certificate struct {
	SHA256      string    `json:"sha256"`
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"` // lower-case hexadecimal
	Addresses   []string  `json:"addresses"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Key         string    `json:"key"`
	KeyUsage    []string  `json:"key_usage"`
	ExtKeyUsage []string  `json:"ext_key_usage"`
	Signing     Use       `json:"signing"`
	Encryption  Use       `json:"encryption"`
	Chain       []string  `json:"chain"`
	ChainState  string    `json:"chain_state"`
	Revocation  string    `json:"revocation"`
	Stored      *Stored   `json:"stored"` // null: it is not in the store
}

// Use is whether a certificate serves for a purpose now.
type Use struct {
	Result certs.Result `json:"result"`
	Reason certs.Reason `json:"reason"`
	Detail string       `json:"detail,omitempty"`
}

// Describe returns everything, after Judge.
func (s *Found) Describe() Certificate {
	c, v := s.Certificate, s.Verdict()
	out := Certificate{
		SHA256: Fingerprint(c), Subject: pkix.SubjectString(c), Issuer: pkix.IssuerString(c),
		Serial: hex.EncodeToString(c.SerialNumber.Bytes()), Addresses: Texts(certs.Addresses(c)),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Key: KeyKind(c),
		KeyUsage: KeyUsages(c), ExtKeyUsage: ExtKeyUsages(c),
		Signing: use(s.Uses[certs.ForSigning]), Encryption: use(s.Uses[certs.ForEncryption]),
		Chain: Subjects(v.Chain), ChainState: v.ChainState, Revocation: v.Revocation,
	}
	if s.Entry != nil {
		e := Entry(*s.Entry)
		e.Actions = s.Actions
		out.Stored = &e
	}
	return out
}

func use(v certs.Verdict) Use { return Use{v.Result, v.Reason, v.Detail} }

// Subjects are the names in certificates.
func Subjects(chain []*x509.Certificate) []string {
	out := make([]string, len(chain))
	for i, c := range chain {
		out[i] = pkix.SubjectString(c)
	}
	return out
}
