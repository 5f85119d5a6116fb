// Package est is Enrollment over Secure Transport (RFC 7030, with the clarifications of RFC
// 8951): a provider that asks a server, and a server for the built-in authority.
package est

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/certs/enrol"
	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/pemfile"
	"github.com/smimerelay/smimerelay/internal/pkix"
	"github.com/smimerelay/smimerelay/internal/printable"
	"github.com/smimerelay/smimerelay/smime/cms"
)

// The operations (RFC 7030 section 3.2.2), below the base URL.
const (
	opCACerts  = "cacerts"
	opEnroll   = "simpleenroll"
	opReenroll = "simplereenroll"
	opAttrs    = "csrattrs"
)

// Media types (RFC 7030 section 3.2.4).
const (
	typePKCS10 = "application/pkcs10"
	typePKCS7  = "application/pkcs7-mime"
	typeAttrs  = "application/csrattrs"
)

const (
	// maxBody bounds an answer, in octets.
	maxBody = 1 << 20
	// defaultWait is when a server is asked again that does not say when.
	defaultWait = 5 * time.Minute
	// maxText bounds what is kept of a server's error text.
	maxText = 200
)

// ClientConfig describes a server, and who the gateway is there.
type ClientConfig struct {
	// URL is that of the operations, such as https://ca.example.com/.well-known/est or
	// with a label behind it.
	URL string
	// CA is a PEM file with the only authorities that may have issued the server's
	// certificate; "" is those of the system.
	CA string
	// ClientCertificate and ClientKey are PEM files: TLS client authentication (RFC 7030
	// section 3.3.2). User and PasswordFile: HTTP authentication (section 3.2.3); the file
	// is read for each request.
	ClientCertificate, ClientKey string
	User, PasswordFile           string
	// ServerKey has the server make the keys (section 4.4): that of the order signs the
	// request and is not used further.
	ServerKey bool
}

// Client is a provider. A certificate of the same kind that the same CA issued is renewed with
// simplereenroll, with its names (RFC 7030 section 4.2.2). TLS is authenticated by the
// certificate that is replaced, if the CA issued it, unless ClientCertificate is set.
type Client struct {
	ClientConfig
	tls *tls.Config
}

// NewClient returns a Client. It does not connect.
func NewClient(c ClientConfig) (*Client, error) {
	client := &Client{ClientConfig: c, tls: &tls.Config{MinVersion: tls.VersionTLS12}}
	client.URL = strings.TrimRight(c.URL, "/")
	if c.CA != "" {
		pool, err := pemfile.Pool(c.CA)
		if err != nil {
			return nil, err
		}
		client.tls.RootCAs = pool
	}
	if c.ClientCertificate != "" {
		pair, err := pemfile.KeyPair(c.ClientCertificate, c.ClientKey)
		if err != nil {
			return nil, err
		}
		client.tls.Certificates = []tls.Certificate{pair}
	}
	return client, nil
}

// Begin implements enrol.Provider.
func (c *Client) Begin(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	// Section 4.1: where clients get the authorities; the answer to a request has none.
	authorities, err := c.bundle(ctx, opCACerts, nil, nil)
	if err != nil {
		return enrol.Answer{}, err
	}
	if !c.ServerKey {
		if err := c.attributes(ctx, o); err != nil {
			return enrol.Answer{}, err
		}
	}
	operation, request, own := opEnroll, o.CSR, (*certs.Identity)(nil)
	if current := o.Current; current != nil && issuedBy(current.Certificate, authorities) && usable(current) {
		own = current
		if o.Renews() && !c.ServerKey {
			operation, request = opReenroll, o.RenewalCSR
		}
	}
	csr, err := request()
	if err != nil {
		return enrol.Answer{}, &enrol.Refusal{Cause: err}
	}
	var key crypto.PrivateKey
	var list []*x509.Certificate
	if c.ServerKey {
		key, list, err = c.serverKey(ctx, csr, own)
	} else {
		list, err = c.bundle(ctx, operation, csr, own)
	}
	if wait := new(notYet); errors.As(err, &wait) {
		return enrol.Answer{After: wait.after}, nil
	}
	if err != nil {
		return enrol.Answer{}, err
	}
	return enrol.Answer{Certificates: append(list, authorities...), Key: key}, nil
}

// Continue implements enrol.Provider: the request is repeated with the same key, as section
// 4.2.3 asks for after 202; a server that knows the key answers with what it issued.
func (c *Client) Continue(ctx context.Context, o *enrol.Order) (enrol.Answer, error) {
	return c.Begin(ctx, o)
}

func issuedBy(c *x509.Certificate, authorities []*x509.Certificate) bool {
	return slices.ContainsFunc(authorities, func(a *x509.Certificate) bool { return pkix.SignedBy(c, a, false) })
}

// usable reports whether an identity can authenticate TLS.
func usable(id *certs.Identity) bool {
	signer, ok := id.Key.(crypto.Signer)
	if !ok {
		return false
	}
	switch signer.Public().(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return id.Certificate.KeyUsage&x509.KeyUsageDigitalSignature != 0
	}
	return false
}

// notYet is the answer 202.
type notYet struct{ after time.Duration }

func (*notYet) Error() string { return "not there yet" }

// bundle does an operation whose answer is certificates.
func (c *Client) bundle(ctx context.Context, operation string, csr []byte, own *certs.Identity) ([]*x509.Certificate, error) {
	body, header, err := c.do(ctx, operation, csr, own)
	if err != nil {
		return nil, err
	}
	if media, _, err := mime.ParseMediaType(header.Get("Content-Type")); err != nil || media != typePKCS7 {
		return nil, fmt.Errorf("EST server: %s: the answer is %q, not %s", operation, printable.Clip(header.Get("Content-Type"), maxText), typePKCS7)
	}
	der, err := decode(body)
	if err != nil {
		return nil, fmt.Errorf("EST server: %s: %w", operation, err)
	}
	list, problems, err := cms.ParseBundle(der)
	if err = errors.Join(append(problems, err)...); err != nil {
		return nil, fmt.Errorf("EST server: %s: %w", operation, err)
	}
	return list, nil
}

// attributes asks what the server wants in a request (section 4.5), and refuses what the
// order cannot give: another kind of key.
func (c *Client) attributes(ctx context.Context, o *enrol.Order) error {
	body, _, err := c.do(ctx, opAttrs, nil, nil)
	if missing := new(status); errors.As(err, &missing) && (missing.code == http.StatusNoContent || missing.code == http.StatusNotFound || missing.code == http.StatusNotImplemented) {
		return nil // it wants nothing
	}
	if err != nil {
		return err
	}
	der, err := decode(body)
	if err != nil {
		return fmt.Errorf("EST server: %s: %w", opAttrs, err)
	}
	kinds, err := keyKinds(der)
	if err != nil {
		return fmt.Errorf("EST server: %s: %w", opAttrs, err)
	}
	if len(kinds) > 0 && !slices.ContainsFunc(kinds, func(id asn1.ObjectIdentifier) bool { return ofKind(o.Key, id) }) {
		return &enrol.Refusal{Cause: errors.New("the EST server wants another kind of key; set key_type to rsa3072 for RSA, p256 or p384 for EC")}
	}
	return nil
}

var (
	oidRSA = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC  = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
)

// keyKinds are the kinds of keys that a CsrAttrs names (RFC 8951 section 3.1): a sequence of
// identifiers, and of attributes that begin with one.
func keyKinds(der []byte) ([]asn1.ObjectIdentifier, error) {
	var list []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &list); err != nil || len(rest) > 0 {
		return nil, errors.New("not a CsrAttrs")
	}
	var kinds []asn1.ObjectIdentifier
	for _, v := range list {
		var id asn1.ObjectIdentifier
		raw := v.FullBytes
		if v.Tag == asn1.TagSequence {
			raw = v.Bytes
		}
		if _, err := asn1.Unmarshal(raw, &id); err != nil {
			return nil, errors.New("not a CsrAttrs")
		}
		if id.Equal(oidRSA) || id.Equal(oidEC) {
			kinds = append(kinds, id)
		}
	}
	return kinds, nil
}

// ofKind goes by the public half: the private one may be in a token.
func ofKind(key any, id asn1.ObjectIdentifier) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	switch signer.Public().(type) {
	case *rsa.PublicKey:
		return id.Equal(oidRSA)
	case *ecdsa.PublicKey:
		return id.Equal(oidEC)
	}
	return false
}

// status is an answer that is neither 200 nor 202.
type status struct {
	code int
	text string
}

func (s *status) Error() string {
	text := fmt.Sprintf("EST server: %d %s", s.code, http.StatusText(s.code))
	if s.text != "" {
		text += ": " + s.text
	}
	return text
}

// refused are the answers that another attempt will not change. That a login fails is mended
// here, and is not one.
var refused = []int{http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity}

// do makes one request.
func (c *Client) do(ctx context.Context, operation string, csr []byte, own *certs.Identity) ([]byte, http.Header, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if csr != nil {
		method, body = http.MethodPost, strings.NewReader(base64.StdEncoding.EncodeToString(csr))
	}
	r, err := http.NewRequestWithContext(ctx, method, c.URL+"/"+operation, body)
	if err != nil {
		return nil, nil, err
	}
	if csr != nil {
		r.Header.Set("Content-Type", typePKCS10)
		r.Header.Set("Content-Transfer-Encoding", "base64") // RFC 8951 section 2.1: older servers want it
	}
	if c.User != "" {
		password, _, err := file.ReadSecret(c.PasswordFile)
		if err != nil {
			return nil, nil, fmt.Errorf("password_file: %w", err)
		}
		r.SetBasicAuth(c.User, password)
	}
	transport := c.transport(own)
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return nil, nil, fmt.Errorf("EST server: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("EST server: %w", err)
	case len(text) > maxBody:
		return nil, nil, fmt.Errorf("EST server: %s: more than %d octets", operation, maxBody)
	case answer.StatusCode == http.StatusOK:
		return text, answer.Header, nil
	case answer.StatusCode == http.StatusAccepted && csr != nil:
		return nil, nil, &notYet{retryAfter(answer.Header.Get("Retry-After"), time.Now())}
	}
	failed := &status{code: answer.StatusCode}
	if media, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && media == "text/plain" {
		failed.text = strings.Join(strings.Fields(printable.Clip(string(text), maxText)), " ")
	}
	if csr != nil && slices.Contains(refused, failed.code) {
		return nil, nil, &enrol.Refusal{Cause: failed}
	}
	return nil, nil, failed
}

// transport is of one request: TLS is authenticated by own, or as configured.
func (c *Client) transport(own *certs.Identity) *http.Transport {
	config := c.tls.Clone()
	if own != nil && len(config.Certificates) == 0 {
		chain := [][]byte{own.Certificate.Raw}
		for _, above := range own.Chain {
			chain = append(chain, above.Raw)
		}
		config.Certificates = []tls.Certificate{{Certificate: chain, PrivateKey: own.Key, Leaf: own.Certificate}}
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config}
}

// retryAfter reads Retry-After: a number of seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<20)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return defaultWait
}

// decode reads base64 with line breaks (RFC 8951 section 2.1).
func decode(text []byte) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
}
