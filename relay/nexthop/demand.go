package nexthop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/smimerelay/smimerelay/internal/fault"
	"github.com/smimerelay/smimerelay/relay/mtasts"
	"github.com/smimerelay/smimerelay/relay/smtpclient"
)

// pool are trust anchors, with what tells them from others.
type pool struct {
	roots *x509.CertPool // nil: those of the system
	key   string
}

func (n *NextHop) dane() bool { return n.config.TLS == DANE || n.config.TLS == MTASTS }

// demand decides what a host must prove, or notes why it cannot be decided.
// sts finds the policy of the domain, when it is needed.
func (n *NextHop) demand(ctx context.Context, t *Target, domain string, sts func() mtasts.Found) {
	switch n.config.TLS {
	case Off:
		t.Security = "no TLS"
		return
	case Require:
		name := n.nameOf(t)
		t.tls = smtpclient.Verified(name, n.roots.roots, n.roots.key)
		t.Security = fmt.Sprintf("TLS with a certificate for %s", name)
		if n.PerDomain() && !t.secure {
			t.tls = t.tls.Unbound()
		}
		if n.config.Implicit {
			t.tls = t.tls.Implicit()
			t.Security += ", from the start"
		}
	case DANE, MTASTS:
		n.demandDANE(ctx, t, domain, sts)
	default:
		n.opportunistic(t, "")
	}
	if n.config.Certificate != "" {
		t.tls = t.tls.WithCertificate(n.certificate)
	}
}

// withoutDANE decides about a host that has no TLSA records.
func (n *NextHop) withoutDANE(t *Target, sts func() mtasts.Found, domain, why string) {
	if without, decided := n.byPolicy(t, sts, domain); !decided {
		n.opportunistic(t, why+without)
	}
}

// byPolicy decides about a host by the enforced MTA-STS policy of the domain. Without one
// it says so, in words that follow others.
func (n *NextHop) byPolicy(t *Target, sts func() mtasts.Found, domain string) (without string, decided bool) {
	if n.config.TLS != MTASTS {
		return "", false
	}
	found := sts()
	p := found.Policy
	switch {
	case p == nil && found.Err != nil:
		return ", and no MTA-STS policy could be had: " + found.Err.Error(), false
	case p == nil:
		return ", and no MTA-STS policy", false
	case p.Mode == mtasts.Testing:
		if !p.Matches(t.Name) {
			n.count("sts", "validation-failure")
		}
		return ", and an MTA-STS policy in testing", false
	case !p.Matches(t.Name):
		t.Err = untrusted(fmt.Sprintf("the MTA-STS policy of %s does not name the mail exchanger %s", domain, t.Name), nil)
		n.count("sts", "validation-failure")
	default:
		t.tls = smtpclient.Verified(t.name, n.config.Roots, "").WithPolicy("sts")
		t.Security = fmt.Sprintf("TLS with a certificate for %s (MTA-STS policy of %s)", t.name, domain)
	}
	return "", true
}

// policy finds the MTA-STS policy of a domain, once.
func (n *NextHop) policy(ctx context.Context, domain string) func() mtasts.Found {
	return sync.OnceValue(func() mtasts.Found {
		found := n.config.Policies.Find(ctx, domain)
		if found.Err != nil {
			result := "sts-policy-fetch-error"
			if _, ok := errors.AsType[*mtasts.InvalidError](found.Err); ok {
				result = "sts-policy-invalid"
			} else if unverified(found.Err) {
				result = "sts-webpki-invalid"
			}
			n.count("sts", result)
		}
		return found
	})
}

// unverified reports whether a web server did not prove who it is.
func unverified(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

func (n *NextHop) opportunistic(t *Target, why string) {
	t.tls = smtpclient.Opportunistic(t.name)
	t.Security = "TLS if it is offered, not verified"
	if why != "" {
		t.Security += " (" + why + ")"
	}
}

// nameOf is the name that a host must prove.
func (n *NextHop) nameOf(t *Target) string {
	if n.config.VerifyName != "" {
		return n.config.VerifyName
	}
	if t.name != "" || len(t.Addresses) == 0 {
		return t.name
	}
	host, _, err := net.SplitHostPort(t.Addresses[0])
	if err != nil {
		return t.Name
	}
	return host
}

// opened counts what became of an attempt to secure a connection.
func (n *NextHop) opened(h smtpclient.Host, secured bool, err error) {
	if n.config.Count == nil {
		return
	}
	result := "success"
	if err != nil {
		result = failure(err)
	}
	n.config.Count(h.TLS.Policy(), result)
}

// failure is the word of RFC 8460 section 4.3 for why a connection was not secured.
func failure(err error) string {
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, smtpclient.ErrNoTLS):
		return "starttls-not-supported"
	case errors.As(err, &name):
		return "certificate-host-mismatch"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate-expired"
	case errors.As(err, &authority):
		return "certificate-not-trusted"
	}
	return "validation-failure"
}

// untrusted is the error of a host that may not be used for what its policy says.
func untrusted(text string, cause error) error {
	return fault.Narrow(fault.NextHop, fault.BrokenTLS, text, cause)
}
