package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/smimerelay/smimerelay/internal/dns"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/smime/address"
)

// Fields of an SMIMEA record (RFC 6698 section 2.1). Only whole certificates
// can be encrypted to.
const (
	selectorCertificate = 0
	matchingExact       = 0
)

// defaultSMIMEATimeout bounds one question to the resolver.
const defaultSMIMEATimeout = 5 * time.Second

// provenFor is how long the resolver is trusted to validate after it was seen to.
const provenFor = time.Hour

// SMIMEAConfig describes how to ask DNS for certificates.
type SMIMEAConfig struct {
	// Name is "smimea:" and it in explanations.
	Name string
	// Resolver validates DNSSEC for us: "127.0.0.1:53" or another loopback
	// address, or "tls://name:853". Its word must not be forgeable on the way.
	Resolver string
	// CA is a PEM file with the only authorities that may have issued the
	// certificate of a resolver over TLS; "" is those of the system.
	CA string
	// Timeout bounds one question.
	Timeout time.Duration
	// Probe is a name in a signed zone by which the resolver shows that it
	// validates; "" is the root.
	Probe string
	// Clock is time.Now unless set.
	Clock func() time.Time
}

// SMIMEA is a Source that reads SMIMEA records (RFC 8162). Only answers
// that the resolver validated count. A zone that is provably not signed has none;
// a bogus answer, or a resolver that does not validate, is an error.
type SMIMEA struct {
	Plain

	name     string
	resolver *dns.Resolver
	breaker  breaker
	probe    dnsmessage.Name
	clock    func() time.Time

	mu     sync.Mutex
	proven time.Time
}

// NewSMIMEA returns an SMIMEA source, or says everything that is wrong with cfg.
func NewSMIMEA(cfg SMIMEAConfig) (*SMIMEA, error) {
	setDefault(&cfg.Timeout, defaultSMIMEATimeout)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	s := &SMIMEA{name: "smimea:" + cfg.Name, clock: cfg.Clock, breaker: breaker{clock: cfg.Clock}}
	r, err := dns.New(dns.Config{Server: cfg.Resolver, CA: cfg.CA, Timeout: cfg.Timeout})
	const remedy = `write one that validates, such as "127.0.0.1:53" or "tls://dns.example.net"`
	errs := []error{wrong("resolver", err, remedy)}
	if err == nil && !r.Trusted() {
		errs = append(errs, wrong("resolver", fmt.Errorf("resolver %q: only trusted on a loopback address or over tls://", cfg.Resolver), remedy))
	}
	s.resolver = r
	probe, err := dnsmessage.NewName(strings.TrimSuffix(cfg.Probe, ".") + ".")
	s.probe = probe
	if err := joinNamed(s.name, append(errs, err)); err != nil {
		return nil, err
	}
	return s, nil
}

// Name returns "smimea:" and the configured name.
func (s *SMIMEA) Name() string { return s.name }

// Find asks for the local part as it is and, where that has no record, in lower
// case: owners write their records in either form (RFC 8162 section 3 leaves it
// to the client to try).
func (s *SMIMEA) Find(ctx context.Context, addr address.Address) (Finding, error) {
	if strings.HasPrefix(addr.Domain(), "[") {
		return Finding{}, nil // an address literal has no name in DNS
	}
	local := addr.Local()
	f, err := s.find(ctx, local, addr.Domain())
	if lower := strings.ToLower(local); err == nil && len(f.Certificates) == 0 && lower != local {
		return s.find(ctx, lower, addr.Domain())
	}
	return f, err
}

// smimeaName returns the owner name of RFC 8162 section 3.
func smimeaName(local, domain string) (dnsmessage.Name, error) {
	hash := sha256.Sum256([]byte(local))
	return dnsmessage.NewName(hex.EncodeToString(hash[:28]) + "._smimecert." + domain + ".")
}

func (s *SMIMEA) find(ctx context.Context, local, domain string) (Finding, error) {
	name, err := smimeaName(local, domain)
	if err != nil {
		return Finding{}, nil // too long for DNS: there can be no such record
	}
	var answer *dnsmessage.Message
	err = s.breaker.guard(notBogus, func() (err error) {
		answer, err = s.resolver.Ask(ctx, name, dns.TypeSMIMEA)
		return err
	})
	if err != nil {
		return Finding{}, err
	}
	if !answer.AuthenticData {
		if err := s.prove(ctx); err != nil {
			return Finding{}, err
		}
		return Finding{Notes: []string{fmt.Sprintf("zone of %q is not signed: its records are ignored", domain)}}, nil
	}
	return records(answer), nil
}

// notBogus reports errors of the resolver, not of the zone.
func notBogus(err error) bool { return err != nil && !errors.Is(err, dns.ErrBogus) }

var errNotValidating = errors.New("the resolver does not validate DNSSEC")

// prove makes sure that an answer without the AD bit means an unsigned zone: a
// resolver that validates sets it for the probe.
func (s *SMIMEA) prove(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.proven.IsZero() && s.clock().Sub(s.proven) < provenFor {
		return nil
	}
	answer, err := s.resolver.Ask(ctx, s.probe, dnsmessage.TypeSOA)
	switch {
	case err != nil:
		return fmt.Errorf("probe %q: %w", s.probe, err)
	case !answer.AuthenticData:
		return fmt.Errorf("probe %q: %w", s.probe, errNotValidating)
	}
	s.proven = s.clock()
	return nil
}

// records returns the certificates of an answer. The answer to an alias has the
// alias's records too; the resolver validated all of it.
func records(m *dnsmessage.Message) Finding {
	var f Finding
	for _, a := range m.Answers {
		body, ok := a.Body.(*dnsmessage.UnknownResource)
		if !ok || a.Header.Type != dns.TypeSMIMEA || len(body.Data) < 3 {
			continue
		}
		if body.Data[1] != selectorCertificate || body.Data[2] != matchingExact {
			f.Notes = append(f.Notes, "record with only a hash or a key ignored")
			continue
		}
		c, err := pkix.ParseCertificate(body.Data[3:])
		if err != nil {
			f.Notes = append(f.Notes, fmt.Sprintf("record ignored: %v", err))
			continue
		}
		f.Certificates = append(f.Certificates, c)
	}
	return f
}
