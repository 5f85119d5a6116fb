// Package dns asks resolvers over TCP or TLS, where answers have no size limit worth the
// name and no one off the path can put one in, and reports whether they validated the
// answer (RFC 4035). It is for what must tell "there is none" from "it is not known".
package dns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/smimerelay/smimerelay/internal/pemfile"
)

// Types that dnsmessage has no name for.
const (
	// TypeSMIMEA is the record type of RFC 8162 section 2.
	TypeSMIMEA = dnsmessage.Type(53)
	// typeCERT is the record type of RFC 4398 section 2.
	typeCERT = dnsmessage.Type(37)
	// typeTLSA is the record type of RFC 6698.
	typeTLSA = dnsmessage.Type(52)
)

// Config names a resolver.
type Config struct {
	// Server is "host:port", "host", "tls://name:port" or "tls://name". The host of one
	// without TLS is an IP address.
	Server string
	// CA is a PEM file with the only authorities that may have issued the certificate of
	// a server over TLS; "" is those of the system.
	CA string
	// Timeout bounds one question; 0 is 5 seconds.
	Timeout time.Duration
}

// Resolver asks one server. It is safe for concurrent use.
type Resolver struct {
	address string
	tls     *tls.Config // nil: plain
	trusted bool
	timeout time.Duration
}

const defaultTimeout = 5 * time.Second

// New returns a resolver. It does not connect.
func New(c Config) (*Resolver, error) {
	r := &Resolver{timeout: c.Timeout}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
	}
	host, secure := strings.CutPrefix(c.Server, "tls://")
	port := "53"
	if secure {
		port = "853"
	}
	name, given, err := net.SplitHostPort(host)
	if err != nil {
		name, given = strings.Trim(host, "[]"), port
	}
	r.address = net.JoinHostPort(name, given)
	if !secure {
		ip, err := netip.ParseAddr(name)
		if err != nil {
			return nil, fmt.Errorf("resolver %q: not an IP address, and not tls://name", c.Server)
		}
		r.trusted = ip.IsLoopback()
		return r, nil
	}
	if name == "" {
		return nil, fmt.Errorf("resolver %q: no host", c.Server)
	}
	r.tls, r.trusted = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}, true
	if c.CA != "" {
		if r.tls.RootCAs, err = pemfile.Pool(c.CA); err != nil {
			return nil, fmt.Errorf("resolver %q: ca: %w", c.Server, err)
		}
	}
	return r, nil
}

// Trusted reports whether the word of the server cannot be forged on the way: it is on
// a loopback address, or over TLS. Only then does it count that it validated an answer.
func (r *Resolver) Trusted() bool { return r.trusted }

// ErrBogus is SERVFAIL, which is what a validating resolver says of a signature that is
// not good (RFC 4035 section 5.5).
var ErrBogus = errors.New("the resolver failed, or the answer is bogus (SERVFAIL)")

// Ask returns the answer, also if it is that there is nothing. AuthenticData of it is set
// only where the server is Trusted.
func (r *Resolver) Ask(ctx context.Context, name dnsmessage.Name, kind dnsmessage.Type) (*dnsmessage.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	question := dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET}
	id, packed, err := query(question)
	if err != nil {
		return nil, err
	}
	reply, err := r.exchange(ctx, packed)
	if err != nil {
		return nil, err
	}
	var m dnsmessage.Message
	if err := m.Unpack(reply); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	m.AuthenticData = m.AuthenticData && r.trusted
	return &m, checkAnswer(&m, id, question)
}
