package nexthop

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/internal/dns"
	pki "github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/relay/mtasts"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// Fields of a TLSA record (RFC 7218). PKIX-TA and PKIX-EE are not usable for SMTP (RFC
// 7672 section 3.1.3).
const (
	usageTA, usageEE                     = 2, 3
	selectorCertificate, selectorKey     = 0, 1
	matchingExact, matching256, match512 = 0, 1, 2
)

// demandDANE looks the TLSA records of a host up (RFC 7672 section 2.2).
func (n *NextHop) demandDANE(ctx context.Context, t *Target, domain string, sts func() mtasts.Found) {
	if !t.secure {
		n.withoutDANE(t, sts, domain, "its name is not secured by DNSSEC")
		return
	}
	_, port, err := net.SplitHostPort(t.Addresses[0])
	if err != nil {
		n.withoutDANE(t, sts, domain, "no port")
		return
	}
	base := cmp.Or(t.alias, t.name)
	records, secure, err := n.config.Lookup.TLSA(ctx, "_"+port+"._tcp."+base)
	if base != t.name && (errors.Is(err, dns.ErrNoName) || err == nil && (len(records) == 0 || !secure)) {
		base = t.name
		records, secure, err = n.config.Lookup.TLSA(ctx, "_"+port+"._tcp."+base)
	}
	switch {
	case errors.Is(err, dns.ErrNoName), err == nil && len(records) == 0:
		n.withoutDANE(t, sts, domain, "no TLSA record")
		return
	case err != nil:
		// Without the answer it is not known whether the host must prove anything.
		t.Err = untrusted(fmt.Sprintf("TLSA records of %s could not be looked up", t.name), err)
		n.count("tlsa", "dnssec-invalid")
		return
	case !secure:
		n.withoutDANE(t, sts, domain, "its TLSA records are not secured by DNSSEC")
		return
	}
	usable := usableTLSA(records)
	if len(usable) == 0 {
		n.unusableDANE(t, sts, domain, base)
		return
	}
	names := []string{base}
	if base != t.name {
		names = append(names, t.name)
	}
	if n.PerDomain() && domain != t.name {
		names = append(names, domain)
	}
	prove := func(s tls.ConnectionState) error {
		return proveDANE(usable, s.PeerCertificates, names, n.config.Clock())
	}
	t.tls = smtpclient.Proven(base, prove, recordsKey(usable)+" "+domain).WithPolicy("tlsa")
	t.Security = fmt.Sprintf("TLS with a certificate of its TLSA records (DANE): %s", recordsText(usable))
}

func (n *NextHop) count(policy, result string) {
	if n.config.Count != nil {
		n.config.Count(policy, result)
	}
}

// unusableDANE decides about a host whose TLSA records are of no use to SMTP: TLS is
// required (RFC 7672 section 2.2), and what an enforced MTA-STS policy says.
func (n *NextHop) unusableDANE(t *Target, sts func() mtasts.Found, domain, base string) {
	without, decided := n.byPolicy(t, sts, domain)
	if decided {
		return
	}
	t.tls = smtpclient.Encrypted(base).WithPolicy("tlsa")
	t.Security = fmt.Sprintf("TLS, not verified (its TLSA records are of no use to SMTP%s)", without)
}

// usableTLSA leaves out records that SMTP cannot use, and weaker digests of what has a
// stronger one (RFC 7671 section 9).
func usableTLSA(records []dns.TLSA) []dns.TLSA {
	usable := slices.DeleteFunc(slices.Clone(records), func(r dns.TLSA) bool { return !wellFormed(r) })
	strongest := map[[2]byte]bool{}
	for _, r := range usable {
		if r.Matching == match512 {
			strongest[[2]byte{r.Usage, r.Selector}] = true
		}
	}
	return slices.DeleteFunc(usable, func(r dns.TLSA) bool {
		return r.Matching == matching256 && strongest[[2]byte{r.Usage, r.Selector}]
	})
}

// wellFormed reports whether a record is one that SMTP can use.
func wellFormed(r dns.TLSA) bool {
	if r.Usage != usageTA && r.Usage != usageEE || r.Selector > selectorKey || r.Matching > match512 {
		return false
	}
	size, digest := map[byte]int{matching256: sha256.Size, match512: sha512.Size}[r.Matching]
	return len(r.Data) > 0 && (!digest || len(r.Data) == size)
}

func matches(r dns.TLSA, c *x509.Certificate) bool {
	data := c.Raw
	if r.Selector == selectorKey {
		data = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case matching256:
		sum := sha256.Sum256(data)
		data = sum[:]
	case match512:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(data, r.Data)
}

// proveDANE checks a chain against records: with DANE-EE the certificate itself counts,
// whatever its names and times (RFC 7672 section 3.1.1); with DANE-TA one of its issuers,
// and it must have one of the names (section 3.1.2).
func proveDANE(records []dns.TLSA, chain []*x509.Certificate, names []string, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the server has shown no certificate")
	}
	var last error = errors.New("no TLSA record matches the certificate of the server")
	anchors := x509.NewCertPool()
	found := false
	for _, r := range records {
		if r.Usage == usageEE && matches(r, chain[0]) {
			return nil
		}
		if r.Usage != usageTA {
			continue
		}
		for _, c := range anchorsOf(r, chain) {
			anchors.AddCert(c)
			found = true
		}
	}
	if !found {
		return last
	}
	for _, name := range names {
		err := proveChain(chain, anchors, name, now)
		if err == nil {
			return nil
		}
		last = err
		if _, mismatch := errors.AsType[x509.HostnameError](err); !mismatch {
			break // by the other name it is no better
		}
	}
	return last
}

// anchorsOf are the certificates that a record makes trust anchors: those of the chain
// that it matches, and the one that it holds.
func anchorsOf(r dns.TLSA, chain []*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range chain[1:] {
		if matches(r, c) {
			list = append(list, c)
		}
	}
	if r.Selector == selectorCertificate && r.Matching == matchingExact {
		if c, err := pki.ParseCertificate(r.Data); err == nil {
			list = append(list, c)
		}
	}
	return list
}

func proveChain(chain []*x509.Certificate, roots *x509.CertPool, name string, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: now})
	return err
}

func recordsKey(records []dns.TLSA) string {
	var parts []string
	for _, r := range records {
		parts = append(parts, fmt.Sprintf("%d%d%d%x", r.Usage, r.Selector, r.Matching, r.Data))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

func recordsText(records []dns.TLSA) string {
	var parts []string
	for _, r := range records {
		parts = append(parts, fmt.Sprintf("%d %d %d %.16x", r.Usage, r.Selector, r.Matching, r.Data))
	}
	return strings.Join(parts, ", ")
}
