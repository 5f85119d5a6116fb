package directory

import (
	"context"
	"errors"
	"strings"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// typePKIX is the type of a CERT record with an X.509 certificate (RFC 4398 section 2.1).
const typePKIX = 1

// CERT is a Source that reads CERT records (RFC 4398) of recipients' domains, where the
// Direct Project has them: below the domain, at the local part. Whether the answer was
// validated does not matter: a certificate must pass the same checks as all others.
type CERT struct {
	Plain

	name string
	dns  *dns.Lookup
}

// NewCERT returns a CERT source that asks these resolvers.
func NewCERT(name string, lookup *dns.Lookup) *CERT {
	return &CERT{name: "dns-cert:" + name, dns: lookup}
}

// Name returns "dns-cert:" and the configured name.
func (s *CERT) Name() string { return s.name }

// Find returns the certificates in the records of addr.
func (s *CERT) Find(ctx context.Context, addr address.Address) (Finding, error) {
	name, ok := certName(addr)
	if !ok {
		return Finding{}, nil
	}
	records, err := s.dns.CERT(ctx, name)
	if errors.Is(err, dns.ErrNoName) {
		return Finding{}, nil
	}
	if err != nil {
		return Finding{}, err
	}
	var f Finding
	for _, r := range records {
		if r.Type != typePKIX {
			f.note("record of type %d ignored: no X.509 certificate", r.Type)
			continue
		}
		c, err := pkix.ParseCertificate(r.Data)
		if err != nil {
			f.note("record ignored: %v", err)
			continue
		}
		f.Certificates = append(f.Certificates, c)
	}
	return f, nil
}

// certName returns the name that the records of an address are at; false where there can
// be none (RFC 1035 section 8 turns the "@" into a dot; the dots of a local part part
// labels, as the Direct Project has it).
func certName(addr address.Address) (string, bool) {
	local, domain := addr.Local(), addr.Domain()
	if strings.HasPrefix(domain, "[") || !plainLocal(local) {
		return "", false
	}
	name := local + "." + domain
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 {
			return "", false
		}
	}
	return name, len(name) < 254
}

// plainLocal reports whether a local part is a dot-atom (RFC 5322 section 3.2.3).
func plainLocal(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("()<>[]:;@\\,\"", r)
	})
}
