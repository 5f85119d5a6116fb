package mtasts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/smimerelay/smimerelay/internal/webguard"
)

// Web fetches policies from the web servers of domains, which strangers choose: only
// public addresses are asked, unless others are allowed.
type Web struct {
	// Resolver finds the addresses of web servers.
	Resolver webguard.Resolver
	// Allowed are address ranges that may be asked though they are private.
	Allowed []netip.Prefix
	// Roots are the authorities that are trusted; nil is those of the system.
	Roots *x509.CertPool
	// Dial connects to an address and port; nil uses the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	fetchTimeout = time.Minute // RFC 8461 section 3.3
	maxPolicy    = 64 << 10    // the same section
)

// Fetch returns the text of the policy of a domain (RFC 8461 section 3.3). The certificate
// must name the server; redirects are not followed.
func (w *Web) Fetch(ctx context.Context, domain string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	guard := &webguard.Guard{Resolver: w.Resolver, Allowed: w.Allowed, Dial: w.Dial}
	transport := &http.Transport{
		DialContext:     guard.DialContext,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.Roots},
		// A domain is asked once a day.
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxPolicy,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", r.URL, resp.Status)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return "", fmt.Errorf("%s: content type %q is not text/plain", r.URL, resp.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err == nil && len(text) > maxPolicy {
		err = errors.New("the policy is too long")
	}
	return string(text), err
}
