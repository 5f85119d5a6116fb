package smtpclient

import (
	"context"
	"crypto/tls"
	"maps"
)

// Hop is what a next hop says of itself.
type Hop struct {
	// Name is that of its EHLO reply.
	Name string
	// TLS is the version of the secured connection, such as "TLS 1.3"; "" without.
	TLS string
	// Extensions are those of its EHLO reply, by upper-case keyword, with their
	// parameters (RFC 5321 section 4.1.1.1).
	Extensions map[string]string
}

// Probe connects as for a delivery, asks what the next hop offers, and sends nothing.
func (c *Client) Probe(ctx context.Context) (Hop, error) {
	h, err := c.get(ctx, true)
	if err != nil {
		return Hop{}, err
	}
	defer h.quit()
	hop := Hop{Name: h.greeted, Extensions: maps.Clone(h.extensions)}
	if t, ok := h.nc.(*tls.Conn); ok {
		hop.TLS = tls.VersionName(t.ConnectionState().Version)
	}
	return hop, nil
}

// Address returns where the next hop is: "host:port" or "unix:/path".
func (c *Client) Address() string { return c.config.Address }
