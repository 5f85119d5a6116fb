// Package openid signs people in to the console by an OpenID Connect provider: the authorization
// code flow with PKCE (RFC 6749 section 4.1, RFC 7636, OpenID Connect Core 1.0 section 3.1). Who someone is and which
// role that gives comes from the ID token alone.
package openid

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/smimerelay/smimerelay/console/access"
)

// Config describes the provider and what its claims mean.
type Config struct {
	// Issuer is the URL of the provider, as it is in its tokens.
	Issuer   string
	ClientID string
	// SecretFile has the secret of the client; it is read for each sign-in.
	SecretFile string
	// CA is a PEM file with the CA certificates trusted for the provider; "" is those of the system.
	CA string
	// Redirect is the address of the console to which the provider sends browsers back.
	Redirect string
	// Scopes are asked for besides openid.
	Scopes []string
	// NameClaim is the claim with the name of the account, and RoleClaim the one with the words
	// of Roles.
	NameClaim, RoleClaim string
	// Roles are the words that give a role.
	Roles map[access.Role][]string
	Clock func() time.Time
}

// Provider is an OpenID Connect provider. It is asked for its description when someone signs in:
// one that is down keeps no gateway from starting.
type Provider struct {
	cfg    Config
	client *http.Client
	// slots has a value for each request to the provider for a token that is under way.
	slots chan struct{}

	asking singleflight.Group
	mu     sync.Mutex
	known  *description // nil until it was asked
}

// description is what a provider says of itself.
type description struct {
	*oidc.Provider
	read time.Time
	// end is where browsers sign out at the provider; "" where it has no such place.
	end   string
	style oauth2.AuthStyle
}

const (
	// timeout is how long a request to the provider may take.
	timeout = 10 * time.Second
	// maxAnswer is the most octets of an answer.
	maxAnswer = 1 << 20
	// fresh is how long a description is used.
	fresh = time.Hour
	// atOnce is how many tokens are asked for at once: a client that has not signed in can have
	// the gateway ask.
	atOnce = 4
)

// New returns a provider. It reads the files and connects to nothing.
func New(cfg Config) (*Provider, error) {
	p := &Provider{cfg: cfg, slots: make(chan struct{}, atOnce)}
	if _, err := p.secret(); err != nil {
		return nil, err
	}
	trusted := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CA != "" {
		pem, err := os.ReadFile(cfg.CA)
		if err != nil {
			return nil, err
		}
		if trusted.RootCAs = x509.NewCertPool(); !trusted.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in PEM form", cfg.CA)
		}
	}
	p.client = &http.Client{
		Timeout:   timeout,
		Transport: bounded{&http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trusted, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}},
		// The administrator named one provider; it may not send us to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p, nil
}

// Close closes idle connections.
func (p *Provider) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

// Issuer is the URL of the provider.
func (p *Provider) Issuer() string { return p.cfg.Issuer }

func (p *Provider) secret() (string, error) {
	data, err := os.ReadFile(p.cfg.SecretFile)
	if err != nil {
		return "", err
	}
	secret, _, _ := strings.Cut(string(data), "\n")
	if secret = strings.TrimSuffix(secret, "\r"); secret == "" {
		return "", fmt.Errorf("%s: the first line is empty", p.cfg.SecretFile)
	}
	return secret, nil
}

// describe returns the description of the provider. One that cannot be read again is used on.
func (p *Provider) describe(ctx context.Context) (*description, error) {
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	if known != nil && p.cfg.Clock().Sub(known.read) < fresh {
		return known, nil
	}
	// Those who sign in at the same time wait for one answer, which has a time limit of its own.
	found, err, _ := p.asking.Do("", func() (any, error) { return p.discover(context.WithoutCancel(ctx)) })
	switch {
	case err == nil:
		return found.(*description), nil
	case known != nil:
		return known, nil
	}
	return nil, &Refused{Text: Unavailable, Cause: err}
}

// discover asks the provider (OpenID Connect Discovery 1.0 section 4).
func (p *Provider) discover(ctx context.Context) (*description, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		End     string   `json:"end_session_endpoint"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	d := &description{Provider: found, read: p.cfg.Clock(), end: more.End, style: authStyle(more.Methods)}
	ends := []string{d.Endpoint().AuthURL, d.Endpoint().TokenURL, more.Keys}
	if d.end != "" {
		ends = append(ends, d.end)
	}
	for _, end := range ends {
		if !p.safe(end) {
			return nil, fmt.Errorf("the provider names the address %q, which is not https", end)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = d
	return d, nil
}

// safe reports whether an address of the provider is one of HTTPS. A provider on this host, which
// the configuration allows, may do without.
func (p *Provider) safe(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(p.cfg.Issuer, "http://") && strings.HasPrefix(address, "http://")
}

// authStyle is how the client shows its secret (OpenID Connect Core section 9).
func authStyle(methods []string) oauth2.AuthStyle {
	if slices.Contains(methods, "client_secret_post") && !slices.Contains(methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader // the default of the standard
}

// oauth is the client of OAuth 2.0 below.
func (p *Provider) oauth(d *description, secret string) *oauth2.Config {
	end := d.Endpoint()
	end.AuthStyle = d.style
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: secret, Endpoint: end, RedirectURL: p.cfg.Redirect,
		Scopes: append([]string{oidc.ScopeOpenID}, p.cfg.Scopes...),
	}
}

// bounded limits the size of answers.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// What a person who does not get in can read.
const (
	Unavailable = "the OpenID Connect provider is not available; sign in with a local account, or try again"
	NotBegun    = "the sign-in was not begun in this browser, or too long ago: begin again"
	NotProven   = "the OpenID Connect provider did not confirm who you are; the log of the gateway says why"
	Denied      = "the OpenID Connect provider refused the sign-in"
	NotVerified = "the OpenID Connect provider has not verified your mail address"
	NoName      = "the OpenID Connect provider did not say your name; the log of the gateway says why"
)

// Refused is why someone does not get in: Text is for them, Cause for the log.
type Refused struct {
	Text  string
	Cause error
}

// Error implements error.
func (r *Refused) Error() string { return r.Cause.Error() }

// Unwrap returns the cause.
func (r *Refused) Unwrap() error { return r.Cause }

func refuse(text, cause string, args ...any) error {
	return &Refused{Text: text, Cause: fmt.Errorf(cause, args...)}
}

// reason is the cause of an error of the token endpoint: what it answered is cut short.
func reason(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return fmt.Errorf("token endpoint: %d %s %.200q", e.Response.StatusCode, e.ErrorCode, e.ErrorDescription)
	}
	return err
}
