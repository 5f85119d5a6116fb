package scep

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// The operations (RFC 8894 section 4.1).
const (
	opCaps  = "GetCACaps"
	opCerts = "GetCACert"
	opPKI   = "PKIOperation"
)

const (
	// typeMessage is that of messages; typeCA and typeRA are those of one authority and of
	// several certificates (section 4.2.1).
	typeMessage = "application/x-pki-message"
	typeCA      = "application/x-x509-ca-cert"
	typeRA      = "application/x-x509-ca-ra-cert"
)

const (
	// maxBody bounds an answer, in octets.
	maxBody = 1 << 20
	// wait is when a server is asked again that has not decided.
	wait = 5 * time.Minute
)

// ClientConfig describes a server, and who the gateway is there.
type ClientConfig struct {
	// URL is that of the server, such as https://ca.example.com/scep.
	URL string
	// TLS is a PEM file with the only authorities that may have issued the server's
	// certificate; "" is those of the system.
	TLS string
	// Fingerprint is the SHA-256 of the certificate of the CA, or of one above it, in
	// hexadecimal; "" trusts what comes by TLS.
	Fingerprint string
	// RAFingerprint is the SHA-256 of the certificate of the RA; "" accepts, by TLS, any
	// that the CA issued for encryption, and without TLS none.
	RAFingerprint string
	// PasswordFile has the challenge password (RFC 8894 section 2.4); "" is none. It is read
	// for each request.
	PasswordFile string
	Clock        func() time.Time
}

// Client is a provider. A certificate of the same kind that the same CA issued is renewed with
// RenewalReq, where the server can.
type Client struct {
	ClientConfig
	tls *tls.Config
	// plain: without TLS, so that what GetCACert answers is known by fingerprints alone.
	plain bool
}

// NewClient returns a Client. It does not connect.
func NewClient(c ClientConfig) (*Client, error) {
	client := &Client{ClientConfig: c, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	client.Fingerprint, client.RAFingerprint = hexadecimal(c.Fingerprint), hexadecimal(c.RAFingerprint)
	client.plain = !strings.HasPrefix(strings.ToLower(c.URL), "https:")
	if client.plain && client.Fingerprint == "" {
		return nil, errors.New("ca_fingerprint is needed with http")
	}
	if c.TLS != "" {
		pool, err := pemfile.Pool(c.TLS)
		if err != nil {
			return nil, err
		}
		client.tls.RootCAs = pool
	}
	return client, nil
}

// hexadecimal is a fingerprint as fingerprintOf writes it.
func hexadecimal(text string) string { return strings.ToLower(strings.ReplaceAll(text, ":", "")) }

// isPending is the reference of an order that the server has and has not decided.
const isPending = "pending"

// Begin implements enrol.Provider.
func (c *Client) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	return c.request(ctx, o, false)
}

// Continue implements enrol.Provider: a server that has the request is asked for the answer.
// Where it is not known to have it, it is sent again, with the same key and transaction.
func (c *Client) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	return c.request(ctx, o, string(o.Reference) == isPending)
}

func (c *Client) request(ctx context.Context, o *enrol.Order, poll bool) (enrol.Answer, error) {
	key, ok := o.Key.(keyRSA)
	if ok {
		_, ok = key.Public().(*rsa.PublicKey)
	}
	if !ok {
		return enrol.Answer{}, &enrol.Refusal{Cause: errRSA}
	}
	can, err := c.capabilities(ctx)
	if err != nil {
		return enrol.Answer{}, err
	}
	ca, err := c.authority(ctx)
	if err != nil {
		return enrol.Answer{}, err
	}
	m, by, err := c.build(o, key, ca, can)
	if err != nil {
		return enrol.Answer{}, err
	}
	if poll {
		if m, err = m.poll(ca); err != nil {
			return enrol.Answer{}, err
		}
	}
	answer, err := c.exchange(ctx, &m.message, by, ca, can)
	if err != nil {
		return enrol.Answer{}, err
	}
	return c.answer(answer, by, ca)
}

// outgoing is a message with the request that it is about.
type outgoing struct {
	message
	csr *x509.CertificateRequest
}

// build makes the request, and says who sends it.
func (c *Client) build(o *enrol.Order, key keyRSA, ca *authority, can capabilities) (*outgoing, *party, error) {
	by := renewer(o, ca, can)
	make, kind := o.CSR, pkcsReq
	if by != nil {
		make, kind = o.RenewalCSR, renewalReq
	}
	der, err := make()
	if err == nil && by == nil && c.PasswordFile != "" {
		var password string
		if password, _, err = file.ReadSecret(c.PasswordFile); err != nil {
			return nil, nil, fmt.Errorf("password_file: %w", err)
		}
		der, err = withChallenge(der, key, password)
	}
	if err != nil {
		return nil, nil, &enrol.Refusal{Cause: err}
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, nil, err
	}
	if by == nil {
		if by, err = ownCertificate(csr, key, c.Clock()); err != nil {
			return nil, nil, err
		}
	}
	m := &outgoing{csr: csr, message: message{kind: kind, transaction: transactionOf(csr), sender: newNonce()}}
	m.content, err = seal(der, ca.recipient)
	return m, by, err
}

// renewer is the certificate that is renewed, where the server can and the key can do what
// the protocol asks for; nil otherwise.
func renewer(o *enrol.Order, ca *authority, can capabilities) *party {
	if !can.has("Renewal") || !o.Renews() || !ca.issued(o.Current.Certificate) {
		return nil
	}
	by, ok := asParty(o.Current)
	if !ok {
		return nil
	}
	return by
}

// poll asks for the answer to a request.
func (m *outgoing) poll(ca *authority) (*outgoing, error) {
	asked, err := issuerAndSubject(ca.issuer, m.csr)
	if err != nil {
		return nil, err
	}
	other := *m
	other.kind = certPoll
	other.content, err = seal(asked, ca.recipient)
	return &other, err
}

// exchange sends a message and returns the answer to it: signed by the authority, of the same
// transaction, and with its nonce (RFC 8894 section 3.2.1.5).
func (c *Client) exchange(ctx context.Context, m *message, by *party, ca *authority, can capabilities) (*message, error) {
	der, err := m.encode(by)
	if err != nil {
		return nil, err
	}
	method, message, body := http.MethodGet, base64.StdEncoding.EncodeToString(der), []byte(nil)
	if can.has("POSTPKIOperation") {
		method, message, body = http.MethodPost, "", der
	}
	text, _, err := c.do(ctx, method, opPKI, message, body)
	if err != nil {
		return nil, err
	}
	answer, err := parse(text, ca.all)
	switch {
	case err != nil:
		return nil, final(fmt.Errorf("SCEP server: %w", err))
	case !ca.signs(answer.signer):
		return nil, errors.New("SCEP server: the answer is signed by another than the CA")
	case answer.kind != certRep || answer.transaction != m.transaction:
		return nil, errors.New("SCEP server: the answer is to another request")
	case !bytes.Equal(answer.recipient, m.sender):
		return nil, errors.New("SCEP server: the answer has another nonce: it is an old one, or to another request")
	}
	return answer, nil
}

// answer is what the server says of the order.
func (c *Client) answer(m *message, by *party, ca *authority) (enrol.Answer, error) {
	switch m.status {
	case pending:
		return enrol.Answer{After: wait, Reference: []byte(isPending)}, nil
	case failure:
		text := failTexts[m.fail]
		if text == "" {
			text = fmt.Sprintf("failInfo %q", m.fail)
		}
		if m.text != "" {
			text += ": " + strings.Join(strings.Fields(m.text), " ")
		}
		err := fmt.Errorf("SCEP server: refused: %s", text)
		if m.fail == "1" || m.fail == "3" {
			return enrol.Answer{}, err // its key may have changed; clocks are mended
		}
		return enrol.Answer{}, &enrol.Refusal{Cause: err}
	case success:
	default:
		return enrol.Answer{}, fmt.Errorf("SCEP server: pkiStatus %q is unknown", m.status)
	}
	der, err := m.open(by)
	if err != nil {
		return enrol.Answer{}, final(fmt.Errorf("SCEP server: the answer cannot be decrypted: %w", err))
	}
	list, problems, err := cms.ParseBundle(der)
	if err = errors.Join(append(problems, err)...); err != nil {
		return enrol.Answer{}, fmt.Errorf("SCEP server: the answer: %w", err)
	}
	return enrol.Answer{Certificates: append(list, ca.all...)}, nil
}

// final makes a refusal of an error that the algorithms of the server cause: it issues once
// more with each attempt, and the next answer is no better.
func final(err error) error {
	if errors.Is(err, cms.ErrWeak) || errors.Is(err, cms.ErrUnsupported) {
		return &enrol.Refusal{Cause: err}
	}
	return err
}

// do makes one request.
func (c *Client) do(ctx context.Context, method, operation, message string, body []byte) ([]byte, string, error) {
	q := url.Values{"operation": {operation}}
	if message != "" {
		q.Set("message", message)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.URL+"?"+q.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	if body != nil {
		r.Header.Set("Content-Type", typeMessage)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: c.tls.Clone()}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return nil, "", fmt.Errorf("SCEP server: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("SCEP server: %w", err)
	case len(text) > maxBody:
		return nil, "", fmt.Errorf("SCEP server: %s: more than %d octets", operation, maxBody)
	case answer.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("SCEP server: %s: %d %s", operation, answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")) // "" is another one
	return text, media, nil
}
