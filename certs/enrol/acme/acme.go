// Package acme gets certificates from authorities that speak ACME (RFC 8555) for mail (RFC
// 8823): the authority sends a message to the address that is to be certified, and the
// gateway, through which it comes in, answers it.
//
// A Provider orders and fetches. A Responder recognizes the messages as they pass, notes them, and
// makes the answers, which the caller sends.
package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/pemfile"
)

const (
	// challengeType is that of RFC 8823, identifierType that of its section 3.
	challengeType  = acme.ChallengeTypeEmailReply00
	identifierType = "email"
	// maxBody bounds an answer of the server, in octets.
	maxBody = 1 << 20
	// answerTime bounds one request: a server that says nothing stops no other work.
	answerTime = time.Minute
)

// Config describes a server, and who the gateway is there.
type Config struct {
	// Enrolment is the name of the table. The account belongs to it.
	Enrolment string
	// URL is that of the server's directory (RFC 8555 section 7.1.1).
	URL string
	// CA is a PEM file with the only authorities that may have issued the server's
	// certificate; "" is those of the system.
	CA string
	// Contact is the mail address of the account; "" is none.
	Contact string
	// AcceptTerms says that the terms of the authority were read and accepted.
	AcceptTerms bool
	// EABKeyID and EABKeyFile bind the account to one that the authority knows (section
	// 7.3.4); the file has the MAC key in base64url. "" is none.
	EABKeyID, EABKeyFile string
	Store                *store.Store
	Clock                func() time.Time
}

// Provider orders certificates. It is safe for concurrent use.
type Provider struct {
	Config
	client *acme.Client

	mu      sync.Mutex
	account *acme.Account // nil until it was asked for
}

// NewProvider returns a Provider. It does not connect.
func NewProvider(c Config) (*Provider, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pool, err := pemfile.Pool(c.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, IdleConnTimeout: 10 * time.Second, ForceAttemptHTTP2: true}
	client := &acme.Client{
		Directory: c.URL, UserAgent: "smimerelay",
		HTTPClient: &http.Client{
			Timeout:       answerTime,
			Transport:     bounded{transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	return &Provider{Config: c, client: client}, nil
}

// Close ends the connections that are open for the next request.
func (p *Provider) Close() error {
	p.client.HTTPClient.CloseIdleConnections()
	return nil
}

// Revoke has the authority revoke a certificate, by the account that ordered it.
func (p *Provider) Revoke(ctx context.Context, c *x509.Certificate) error {
	account, err := p.registered(ctx)
	if err != nil {
		return err
	}
	err = p.client.RevokeCertificate(ctx, account, c, nil, acme.ReasonUnspecified)
	if isProblem(err, acme.ProblemTypeAlreadyRevoked) {
		return nil
	}
	return p.judged(err)
}

// bounded is a transport whose answers are not longer than maxBody.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.Transport.RoundTrip(r)
	if err == nil {
		answer.Body = &boundedBody{answer.Body, maxBody}
	}
	return answer, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

var errTooLong = errors.New("the answer is too long")

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: more than %d octets", errTooLong, maxBody)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
