package smtpclient

import (
	"context"
	"crypto/tls"
	"maps"

	"github.com/smimerelay/smimerelay/internal/pkix"
)

// Probe is what a server showed before any mail.
type Probe struct {
	// Name is what the server calls itself in its EHLO reply.
	Name string `json:"name"`
	// TLS is the version of the secured connection, such as "TLS 1.3"; "" without. Cipher is
	// its suite.
	TLS    string `json:"tls,omitempty"`
	Cipher string `json:"cipher,omitempty"`
	// Verified says that the server proved who it is.
	Verified bool `json:"verified"`
	// Subject and Issuer are of its certificate.
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	// LoggedIn says that the password was accepted.
	LoggedIn bool `json:"logged_in"`
	// Extensions are those of its EHLO reply, by upper-case keyword, with their
	// parameters (RFC 5321 section 4.1.1.1).
	Extensions map[string]string `json:"extensions"`
}

// Probe connects to a server as Deliver does, logs in where that is asked for, and ends
// the session before any mail.
func (c *Client) Probe(ctx context.Context, host Host) (Probe, error) {
	h, err := c.get(ctx, host, true, nil)
	if err != nil {
		return Probe{}, lost(err)
	}
	defer h.quit()
	p := Probe{Name: h.greeted, Verified: h.verified(), LoggedIn: c.config.Auth != nil, Extensions: maps.Clone(h.extensions)}
	if tc, ok := h.nc.(*tls.Conn); ok {
		s := tc.ConnectionState()
		p.TLS, p.Cipher = tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite)
		if len(s.PeerCertificates) > 0 {
			p.Subject, p.Issuer = pkix.SubjectString(s.PeerCertificates[0]), pkix.IssuerString(s.PeerCertificates[0])
		}
	}
	return p, nil
}
